"""What lets this node act in a swarm: its key, its certificate, and what all members have in common."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from swarmgate.errors import ConfigError, WireError
from swarmgate.nouns import NodeId
from swarmgate.swarm.certificates import Peer, Role, authority_certificate, authority_key, examine, issue
from swarmgate.swarm.keys import public_key, rendezvous_names, seal, sign, unseal
from swarmgate.swarm.peerids import peer_id
from swarmgate.swarm.token import Invite, Token

#: As many certificates are remembered as examined, so that a busy swarm costs one check for each and not for each word.
_REMEMBERED = 1024


class Revocations:
    """Peers whose certificates no longer count, whatever they say.  Who needs to know at once, listens.

    With each peer goes the signed entry that says so, to be passed on; empty if nobody gave it.
    """

    def __init__(self, peers: Iterable[NodeId] = ()) -> None:
        self._peers = dict.fromkeys(peers, b"")
        self._listeners: list[Callable[[NodeId], None]] = []

    def __repr__(self) -> str:
        return f"<Revocations of {len(self._peers)} peers>"

    def __contains__(self, peer: object) -> bool:
        return peer in self._peers

    @property
    def peers(self) -> frozenset[NodeId]:
        """Return who is revoked."""
        return frozenset(self._peers)

    @property
    def entries(self) -> tuple[bytes, ...]:
        """Return the entries by which they were revoked, the oldest first."""
        return tuple(entry for entry in self._peers.values() if entry)

    def entry(self, peer: NodeId) -> bytes:
        """Return the entry by which *peer* was revoked, empty if there is none."""
        return self._peers.get(peer, b"")

    def add(self, peer: NodeId, entry: bytes = b"") -> None:
        """Revoke *peer* from now on, as *entry* says, and tell who listens."""
        if peer not in self._peers:
            self._peers[peer] = entry
            for listener in tuple(self._listeners):
                listener(peer)

    def listen(self, listener: Callable[[NodeId], None]) -> Callable[[], None]:
        """Call *listener* for each peer revoked from now on; return what ends that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)


@dataclass(frozen=True, slots=True, repr=False)
class Membership:
    """One node's place in one swarm.

    *key* is the node's Ed25519 seed (a secret, as are *rendezvous* and *sealing*), *certificate* the authority's word
    for it and *authority* the authority's own certificate, both DER.  *bootstrap* are multiaddresses where others may
    be.  *clock* gives Unix seconds.
    """

    key: bytes
    certificate: bytes
    authority: bytes
    rendezvous: bytes
    sealing: bytes
    bootstrap: tuple[str, ...] = ()
    revocations: Revocations = field(default_factory=Revocations)
    clock: Callable[[], float] = time.time  # noqa: TID251  # certificates end by the calendar
    _authority_key: bytes = b""
    _id: NodeId = field(default=NodeId(""), init=False)
    _known: dict[bytes, Peer] = field(default_factory=dict[bytes, Peer])

    def __post_init__(self) -> None:
        object.__setattr__(self, "_authority_key", authority_key(self.authority))
        object.__setattr__(self, "_id", peer_id(public_key(self.key)))  # asked for with every word that is said

    def __repr__(self) -> str:
        return f"<Membership of {self.id}>"

    @property
    def id(self) -> NodeId:
        """Return this node's peer id."""
        return self._id

    @property
    def role(self) -> Role:
        """Return what this node may do."""
        return self.examine(self.certificate).role

    @property
    def authority_key(self) -> bytes:
        """Return the authority's public key, 32 bytes."""
        return self._authority_key

    def examine(self, certificate: bytes) -> Peer:
        """Return whom *certificate*, DER, is about.

        Raises:
            WireError: it is not of this swarm, has ended, or its peer is revoked; the message says which.

        """
        now = self.clock()
        peer = self._known.get(certificate)
        if peer is None or now > peer.until:
            peer = examine(certificate, self._authority_key, now=now)
            while len(self._known) >= _REMEMBERED:
                del self._known[next(iter(self._known))]
            self._known[certificate] = peer
        if peer.id in self.revocations:
            raise WireError(f"{peer.id} is revoked")
        return peer

    def sign(self, data: bytes) -> bytes:
        """Return this node's signature, 64 bytes, of *data*."""
        return sign(self.key, data)

    def seal(self, data: bytes, *, purpose: bytes) -> bytes:
        """Return *data* so that only members can read it, and only for the same *purpose*."""
        return seal(self.sealing, data, purpose=purpose)

    def unseal(self, sealed: bytes, *, purpose: bytes) -> bytes:
        """Return what a member sealed for *purpose*.

        Raises:
            WireError: it is not of this swarm, for another purpose, or has been changed.

        """
        return unseal(self.sealing, sealed, purpose=purpose)

    def rendezvous_names(self) -> tuple[str, str]:
        """Return under which names members look for one another now: this hour's and the one before."""
        return rendezvous_names(self.rendezvous, self.clock())


def join(token: Token | Invite, key: bytes, *, revocations: Revocations | None = None) -> Membership:
    """Return what *token* makes of a node whose Ed25519 seed *key* is; an invite brings a key of its own.

    Raises:
        ConfigError: the invite has ended, or does not fit together.

    """
    revocations = revocations or Revocations()
    if isinstance(token, Invite):
        try:
            membership = Membership(
                token.key,
                token.certificate,
                token.authority,
                token.rendezvous,
                token.sealing,
                token.bootstrap,
                revocations,
            )
            peer = membership.examine(token.certificate)
        except WireError as error:
            raise ConfigError(f"the invite cannot be used: {error}") from None
        if peer.id != membership.id:
            raise ConfigError("the invite cannot be used: its key is not the one its certificate is about")
        return membership
    secrets = token.secrets
    certificate = issue(secrets.authority, public_key(key), "owner", now=time.time())  # noqa: TID251  # by the calendar
    authority = authority_certificate(secrets.authority)
    return Membership(key, certificate, authority, secrets.rendezvous, secrets.sealing, token.bootstrap, revocations)


def invite(token: Token, role: Role, *, days: float, key: bytes, now: float) -> Invite:
    """Return an invite into the swarm of *token*, good for *days* from *now* (Unix seconds); *key* is a fresh seed."""
    secrets = token.secrets
    certificate = issue(secrets.authority, public_key(key), role, now=now, days=days)
    return Invite(
        key,
        certificate,
        authority_certificate(secrets.authority),
        secrets.rendezvous,
        secrets.sealing,
        token.bootstrap,
    )
