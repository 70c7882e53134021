"""What a node keeps of its swarm in its state folder: its own key, and the token.  Reads and writes files.

``node.key`` is the Ed25519 seed, 32 bytes as they are; ``swarm.token`` the token or invite as people paste it.  Both
are their owner's alone, and a crash at any moment leaves them as they were or as they are meant to be.
"""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path

from swarmgate.errors import ConfigError
from swarmgate.swarm.token import Invite, Token, read_pass

KEY_FILE, TOKEN_FILE = "node.key", "swarm.token"
_SEED_BYTES = 32
_OWNER_ONLY = 0o600
#: Longer than any token or invite, in bytes: more is not read.
_LONGEST = 16384


def node_key(state_dir: Path) -> bytes:
    """Return the Ed25519 seed of the node that lives in *state_dir*, made at its first start.

    Raises:
        ConfigError: what is there is no key; the message says what to do.
        OSError: the folder cannot be used.

    """
    file = state_dir / KEY_FILE
    if not file.exists():
        _write_new(file, secrets.token_bytes(_SEED_BYTES))
    key = file.read_bytes()
    if len(key) != _SEED_BYTES:
        raise ConfigError(
            f"{file} is not a node's key: it has {len(key)} bytes, not {_SEED_BYTES}; remove it to get a new one"
            " (the node then has another id)"
        )
    return key


def kept_pass(state_dir: Path) -> Token | Invite | None:
    """Return the token or invite kept in *state_dir*, None if there is none.

    Raises:
        ConfigError: it cannot be read, or was mistyped; the message names the file and never quotes it.

    """
    file = state_dir / TOKEN_FILE
    try:
        with file.open("rb") as source:
            text = source.read(_LONGEST).decode("ascii", "replace")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror or error}; check its permissions") from None
    try:
        return read_pass(text)
    except ConfigError as error:
        raise ConfigError(f"{file}: {error}") from None


def make_pass(state_dir: Path) -> Token | Invite:
    """Return the token or invite kept in *state_dir*; where there is none, a new token, kept from now on.

    Raises:
        ConfigError: it cannot be read or kept; the message names the file.

    """
    if (known := kept_pass(state_dir)) is not None:
        return known
    _keep(state_dir, Token.make(), new=True)
    return kept_pass(state_dir) or make_pass(state_dir)  # of two that made one at once, the first


def keep_pass(state_dir: Path, ticket: Token | Invite) -> Path:
    """Keep *ticket* in *state_dir*, in place of any other; return the file.

    Raises:
        ConfigError: it cannot be written.

    """
    return _keep(state_dir, ticket, new=False)


def write_whole(file: Path, data: bytes) -> None:
    """Write *data* so that a crash leaves the old file or the new one, and only the owner can read it."""
    fresh = _written(file, data)
    try:
        fresh.replace(file)
    except OSError:
        fresh.unlink(missing_ok=True)
        raise
    _settle(file.parent)


def _write_new(file: Path, data: bytes) -> None:
    """Do the same unless the file is there already: then it stays as it is."""
    fresh = _written(file, data)
    try:
        with suppress(FileExistsError):
            file.hardlink_to(fresh)
    finally:
        fresh.unlink(missing_ok=True)
    _settle(file.parent)


def _keep(state_dir: Path, ticket: Token | Invite, *, new: bool) -> Path:
    file = state_dir / TOKEN_FILE
    try:
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        (_write_new if new else write_whole)(file, f"{ticket.text}\n".encode())
    except OSError as error:
        raise ConfigError(f"{file} cannot be written: {error.strerror or error}; set state_dir to another") from None
    return file


def _written(file: Path, data: bytes) -> Path:
    fresh = file.with_name(f"{file.name}.{os.getpid()}.{secrets.token_hex(4)}")
    opened = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ONLY)
    try:
        with os.fdopen(opened, "wb") as out:
            out.write(data)
            out.flush()
            os.fsync(out.fileno())  # lest the name be on the disk before what it stands for
    except OSError:
        fresh.unlink(missing_ok=True)
        raise
    return fresh


def _settle(folder: Path) -> None:
    """Have the disk know *folder*'s names; file systems that cannot are left alone."""
    with suppress(OSError):
        opened = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)
