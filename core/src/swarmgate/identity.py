"""Who this node is, across restarts."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import msgspec

from swarmgate.errors import ConfigError
from swarmgate.nouns import Node, NodeId

_FILE = "node.json"
_STARTS_SHIFT = 32


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """The node's opaque *id*, and how often it was started."""

    id: NodeId
    starts: int = 1

    @property
    def sequence(self) -> int:
        """Return where this run's offers begin to count: above all those of earlier runs."""
        return self.starts << _STARTS_SHIFT


def establish(state_dir: Path, name: str) -> tuple[Node, Identity]:
    """Return the node that lives in *state_dir*, made at its first start.  Reads and writes files.

    A folder that does not exist is made, for its owner only.

    Raises:
        ConfigError: the folder cannot be used, or what is in it is no identity.

    """
    file = state_dir / _FILE
    try:
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        known = msgspec.json.decode(file.read_bytes(), type=Identity) if file.exists() else None
        identity = (
            Identity(id=known.id, starts=known.starts + 1) if known else Identity(id=NodeId(secrets.token_hex(16)))
        )
        _write(file, msgspec.json.encode(identity))
    except OSError as error:
        raise ConfigError(f"the state folder {state_dir} cannot be used: {error}; set state_dir to another") from None
    except msgspec.MsgspecError as error:
        raise ConfigError(f"{file} is not a node's identity: {error}; remove it to get a new one") from None
    return Node(id=identity.id, name=name), identity


def _write(file: Path, data: bytes) -> None:
    """Write *data* so that a crash leaves the old file or the new one, and only the owner can read it."""
    fresh = file.with_name(f"{file.name}.{os.getpid()}")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
        out.write(data)
    fresh.replace(file)
