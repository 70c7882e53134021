"""Who was invited: a list, kept by whoever invites, so that an invite can be revoked by the name it was given.

Format of the file ``invited`` in the state folder (0600): JSON, one object a line, the oldest first.  No secret is
in it.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from swarmgate.errors import ConfigError
from swarmgate.nouns import NodeId, Word
from swarmgate.swarm.certificates import Role
from swarmgate.swarm.kept import write_whole

FILE = "invited"
_LARGEST = 1 << 20


class Invited(Word, frozen=True):
    """One invite: for whom, as what, and until when, in Unix seconds; *name* is what the inviter calls it."""

    peer: NodeId
    role: Role
    until: float
    name: str = ""


def load(state_dir: Path) -> tuple[Invited, ...]:
    """Return all invites that were made in *state_dir*.

    Raises:
        ConfigError: the list cannot be read.

    """
    file = state_dir / FILE
    try:
        with file.open("rb") as source:
            return decode(source.read(_LARGEST))
    except FileNotFoundError:
        return ()
    except (OSError, msgspec.MsgspecError) as error:
        raise ConfigError(f"{file} cannot be read: {error}; remove it, and revoke by peer ids alone") from None


def add(state_dir: Path, invited: Invited) -> None:
    """Note *invited*.

    Raises:
        ConfigError: the name is another one's already, or the list cannot be read or written.

    """
    known = load(state_dir)
    if invited.name and any(each.name == invited.name for each in known):
        raise ConfigError(f"{invited.name!r} was invited already; take another name")
    content = encode((*known, invited))
    try:
        if len(content) > _LARGEST:
            raise ConfigError(f"the list of invites is full; remove {state_dir / FILE}, and revoke by peer ids alone")
        write_whole(state_dir / FILE, content)
    except OSError as error:
        raise ConfigError(f"{state_dir / FILE} cannot be written: {error.strerror or error}") from None


def encode(invited: tuple[Invited, ...]) -> bytes:
    """Return the file's content."""
    return msgspec.json.Encoder().encode_lines(invited)


def decode(content: bytes) -> tuple[Invited, ...]:
    """Return what the file's *content* says.

    Raises:
        msgspec.MsgspecError: it is not such a list.

    """
    return tuple(msgspec.json.Decoder(Invited).decode_lines(content))
