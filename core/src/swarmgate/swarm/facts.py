"""What may be told of a token or an invite: everything but its secrets.  Pure."""

from __future__ import annotations

from typing import Literal

from swarmgate.errors import ConfigError, WireError
from swarmgate.nouns import NodeId, Word
from swarmgate.swarm.certificates import Role, authority_key, peer_of
from swarmgate.swarm.keys import public_key
from swarmgate.swarm.peerids import peer_id
from swarmgate.swarm.token import Invite, Token


class PassFacts(Word, frozen=True):
    """What a pass is: *swarm* tells one swarm from another (it is the id of its authority's key).

    A token makes an ``owner`` of any machine and never ends; an invite is for the one machine *peer*, until *until* in
    Unix seconds.
    """

    kind: Literal["token", "invite"]
    swarm: NodeId
    role: Role
    bootstrap: tuple[str, ...] = ()
    peer: NodeId | None = None
    until: float | None = None


def facts_of(ticket: Token | Invite) -> PassFacts:
    """Return what may be told of *ticket*.

    Raises:
        ConfigError: it is an invite that does not fit together.

    """
    if isinstance(ticket, Token):
        swarm = peer_id(public_key(ticket.secrets.authority))
        return PassFacts(kind="token", swarm=swarm, role="owner", bootstrap=ticket.bootstrap)
    try:
        authority = authority_key(ticket.authority)
        peer = peer_of(ticket.certificate, authority)
    except WireError as error:
        raise ConfigError(f"the invite cannot be used: {error}") from None
    return PassFacts(
        kind="invite",
        swarm=peer_id(authority),
        role=peer.role,
        bootstrap=ticket.bootstrap,
        peer=peer.id,
        until=peer.until,
    )
