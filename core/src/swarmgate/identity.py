"""Who this node is, across restarts, and in which swarm."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from swarmgate.errors import ConfigError
from swarmgate.nouns import Node, NodeId
from swarmgate.swarm.kept import node_key, write_whole
from swarmgate.swarm.keys import public_key
from swarmgate.swarm.membership import Membership, join
from swarmgate.swarm.peerids import peer_id
from swarmgate.swarm.revoked import load
from swarmgate.swarm.token import Invite, Token

_FILE = "node.json"
_STARTS_SHIFT = 32


@dataclass(frozen=True, slots=True)
class Identity:
    """The node's *id*, the peer id of its key, and how often it was started.

    *membership* is its place in the swarm that *ticket*, a token or an invite, let it into; None without one.
    *folder* is where it keeps what is its own.
    """

    id: NodeId
    starts: int = 1
    membership: Membership | None = None
    ticket: Token | Invite | None = None
    folder: Path = Path()

    @property
    def sequence(self) -> int:
        """Return where this run's offers begin to count: above all those of earlier runs."""
        return self.starts << _STARTS_SHIFT


class _Record(msgspec.Struct, frozen=True, kw_only=True):
    """What the file says; earlier versions had an *id* by chance there."""

    id: NodeId
    starts: int = 1


def establish(
    state_dir: Path, name: str, *, ticket: Token | Invite | None = None, shared: Path | None = None
) -> tuple[Node, Identity]:
    """Return the node that lives in *state_dir*, made at its first start.  Reads and writes files.

    A folder that does not exist is made, for its owner only.  *ticket* lets the node into a swarm; an invite brings a
    key of its own, and the node's id is that of this key then.  The revocations kept in *shared* count as well.

    Raises:
        ConfigError: the folder cannot be used, what is in it is no identity, or *ticket* lets nobody in any more.

    """
    file = state_dir / _FILE
    try:
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        key = ticket.key if isinstance(ticket, Invite) else node_key(state_dir)
        membership = _member(ticket, key, {state_dir, shared or state_dir}) if ticket is not None else None
        known = msgspec.json.decode(file.read_bytes(), type=_Record) if file.exists() else None
        record = _Record(id=peer_id(public_key(key)), starts=known.starts + 1 if known else 1)
        write_whole(file, msgspec.json.encode(record))
    except OSError as error:
        raise ConfigError(f"the state folder {state_dir} cannot be used: {error}; set state_dir to another") from None
    except msgspec.MsgspecError as error:
        raise ConfigError(f"{file} is not a node's identity: {error}; remove it to get a new one") from None
    return Node(id=record.id, name=name), Identity(record.id, record.starts, membership, ticket, state_dir)


def _member(ticket: Token | Invite, key: bytes, folders: Iterable[Path]) -> Membership:
    membership = join(ticket, key)
    for folder in folders:
        load(folder, membership)
    if membership.id in membership.revocations:
        remedy = "have somebody who holds the token invite this machine anew: `gateway token invite`"
        raise ConfigError(f"this node, {membership.id}, is revoked in its swarm; {remedy}")
    return membership
