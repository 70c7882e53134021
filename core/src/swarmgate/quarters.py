"""Where in the state folder a process lives: what two have in common is theirs, a key and a port are not.

The gateway that is started first lives in the folder itself, workers and further gateways below it: two processes with
one key would be one node to all others, and the swarm would talk now to the one, now to the other.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Generator
from itertools import count
from pathlib import Path
from typing import Literal

from swarmgate.errors import ConfigError
from swarmgate.nouns import NodeId

Tenant = Literal["gateway", "worker"]

#: The most processes of a kind that live in one state folder.
MOST = 64
_LOCK = "in-use"
#: The locks of this process, by file.  They end with it, however it ends; so nobody has to give them back.
_HELD: dict[Path, int] = {}


def move_in(state_dir: Path, tenant: Tenant) -> Path:
    """Return the first folder in *state_dir* for a *tenant* in which no other process lives; it is this process's now.

    Raises:
        ConfigError: there are too many already.
        OSError: the folder cannot be used.

    """
    for folder in _folders(state_dir, tenant):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if _holds(folder / _LOCK):
            return folder
    raise ConfigError(f"{MOST} processes live in {state_dir} already; set state_dir to another")


def claim(state_dir: Path, node: NodeId) -> None:
    """Have *node*, whose key came with an invite, be this process's alone.

    Raises:
        ConfigError: another process is that node.
        OSError: the folder cannot be used.

    """
    state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not _holds(state_dir / f"{_LOCK}-{node}"):
        raise ConfigError(
            "another gateway or worker on this machine runs with this invite, and would be taken for this one: get an "
            "invite for each (`gateway token invite` on a gateway of the swarm), and give it with --token-file"
        )


def _folders(state_dir: Path, tenant: Tenant) -> Generator[Path]:
    yield state_dir if tenant == "gateway" else state_dir / tenant
    for number in count(2):
        if number > MOST:
            return
        yield state_dir / f"{tenant}-{number}"


def _holds(file: Path) -> bool:
    """Return whether *file* is locked by this process, from now on or already."""
    if sys.platform == "win32":
        return True
    import fcntl

    file = file.resolve()
    if file in _HELD:
        return True
    opened = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(opened)
        return False
    _HELD[file] = opened
    return True
