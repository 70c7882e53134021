"""What a member says to all others, in its own name: an offer, its end, or a revocation.  Pure.

Format: a MessagePack array of the body (bytes), the certificate (DER) of who says it, and its Ed25519 signature of
``swarmgate entry 1`` and the body.  The body is a MessagePack map.  Whoever passes an entry on passes these very bytes
on; only the signer can change them.
"""

from __future__ import annotations

import math
from typing import Literal

import msgspec

from swarmgate.errors import WireError
from swarmgate.nouns import GATEWAY, LLAMA_RPC, NodeId, Offer, Word
from swarmgate.swarm.certificates import LARGEST as LARGEST_CERTIFICATE
from swarmgate.swarm.certificates import Peer, Role
from swarmgate.swarm.keys import is_signed
from swarmgate.swarm.membership import Membership

#: The most an entry may take, in bytes; an honest one takes about 700.
LARGEST = 8192
#: The longest an offer may stand without being renewed, in seconds, and the most it may say.
LONGEST_LIFETIME = 600.0
MOST_ADDRESSES, MOST_LABELS, LONGEST_TEXT = 16, 64, 1024
#: Honest sequences count starts in their upper and renewals in their lower 32 bits.
HIGHEST_SEQUENCE = 1 << 62
_CONTEXT = b"swarmgate entry 1\0"
#: What each role may offer; "*" stands for everything.
_MAY_OFFER: dict[Role, frozenset[str]] = {
    "owner": frozenset({"*"}),
    "node": frozenset({GATEWAY, LLAMA_RPC}),
    "worker": frozenset({LLAMA_RPC}),
    "viewer": frozenset(),
}


class Entry(Word, frozen=True):
    """One statement: *kind* ``offer`` puts *offer* up, ``end`` takes it and all older ones of its key down.

    ``revoke`` says that the certificates of *revoked* no longer count; only an owner may say so.
    """

    kind: Literal["offer", "end", "revoke"]
    offer: Offer | None = None
    revoked: NodeId = NodeId("")


class Heard(Word, frozen=True):
    """An entry that was read and found genuine: who said it, and the bytes to pass on."""

    entry: Entry
    peer: Peer
    data: bytes


class _Envelope(msgspec.Struct, frozen=True, array_like=True):
    body: bytes
    certificate: bytes
    signature: bytes


_encoder = msgspec.msgpack.Encoder()
_entries = msgspec.msgpack.Decoder(Entry)
_envelopes = msgspec.msgpack.Decoder(_Envelope)


def sign_entry(membership: Membership, entry: Entry) -> bytes:
    """Return *entry* as this node says it, at most :data:`LARGEST` bytes.

    Raises:
        WireError: it says more than others would accept.

    """
    body = _encoder.encode(entry)
    data = _encoder.encode(_Envelope(body, membership.certificate, membership.sign(_CONTEXT + body)))
    open_entry(membership, data)  # nothing is sent that others would drop
    return data


def open_entry(membership: Membership, data: bytes) -> Heard:
    """Return what *data* says, if a member that may say so signed it.

    Raises:
        WireError: it is too large, no entry, forged, or by somebody who may not say it; the message says which.

    """
    if len(data) > LARGEST:
        raise WireError(f"an entry of {len(data)} bytes, expected no more than {LARGEST}")
    try:
        envelope = _envelopes.decode(data)
        if len(envelope.certificate) > LARGEST_CERTIFICATE:
            raise WireError(f"a certificate of {len(envelope.certificate)} bytes")
        entry = _entries.decode(envelope.body)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise WireError(f"an entry cannot be read: {error}") from None
    peer = membership.examine(envelope.certificate)
    if not is_signed(peer.public_key, envelope.signature, _CONTEXT + envelope.body):
        raise WireError(f"an entry is not signed by {peer.id}, whose certificate it carries")
    _judge(entry, peer)
    return Heard(entry=entry, peer=peer, data=data)


def claimed(data: bytes) -> Entry | None:
    """Return what *data* claims to say, None if it cannot be read: nobody's word, and enough to leave it unexamined."""
    if len(data) > LARGEST:
        return None
    try:
        return _entries.decode(_envelopes.decode(data).body)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None


def may_offer(role: Role, service: str) -> bool:
    """Return whether a member in *role* may offer *service*."""
    return not _MAY_OFFER[role].isdisjoint(("*", service))


def _judge(entry: Entry, peer: Peer) -> None:
    if entry.kind == "revoke":
        if peer.role != "owner" or not entry.revoked:
            raise WireError(f"{peer.id} is a {peer.role} and may revoke nobody")
        return
    offer = entry.offer
    if offer is None:
        raise WireError(f"an entry of {peer.id} has no offer")
    if offer.node != peer.id:
        raise WireError(f"{peer.id} speaks for {offer.node[:LONGEST_TEXT]}")
    if not may_offer(peer.role, offer.service):
        raise WireError(f"{peer.id} is a {peer.role} and may not offer {offer.service[:LONGEST_TEXT]!r}")
    if not (math.isfinite(offer.lifetime) and 0 < offer.lifetime <= LONGEST_LIFETIME):
        raise WireError(
            f"an offer of {peer.id} stands for {offer.lifetime} s, at most {LONGEST_LIFETIME:g} is accepted"
        )
    if not 0 <= offer.sequence <= HIGHEST_SEQUENCE:
        raise WireError(f"an offer of {peer.id} has the sequence {offer.sequence}")
    texts = (offer.name, offer.service, *offer.addresses, *offer.labels.keys(), *offer.labels.values())
    if (
        len(offer.addresses) > MOST_ADDRESSES
        or len(offer.labels) > MOST_LABELS
        or any(len(text) > LONGEST_TEXT for text in texts)
    ):
        raise WireError(f"an offer of {peer.id} says too much")
