"""What copies of the book say to one another.  Pure.

Format: one MessagePack map whose key ``type`` names the message, sealed for members (:mod:`swarmgate.swarm.keys`).
Times are ages, in seconds: clocks of different machines need not agree.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

import msgspec

from swarmgate.errors import WireError
from swarmgate.swarm.entries import LARGEST as LARGEST_ENTRY
from swarmgate.swarm.entries import Entry
from swarmgate.swarm.membership import Membership

#: What goes to everybody at once stays below this, in bytes: libp2p's pubsub mixes up larger ones.
LARGEST_SPREAD = 30_000
#: What two say to each other may be as large, in bytes: the digest of a full book.
LARGEST = 262_144
#: Names a key in a digest; of two like ones, which nobody can find in practice, one would not be healed.
MARK_BYTES = 12
_PURPOSE = b"gossip"
_SEALED_BYTES = 28
#: What MessagePack puts around an entry and its age, and around a message of them, in bytes.
_AROUND_ENTRY, _AROUND = 16, 64


class Message(msgspec.Struct, frozen=True, tag=True):
    """Base of what copies say to one another."""


class Aged(msgspec.Struct, frozen=True, array_like=True):
    """An entry as its signer wrote it, and how many seconds ago that was, as far as the sender knows."""

    age: float
    data: bytes


class Spread(Message, frozen=True, tag="spread"):
    """Entries the sender holds."""

    entries: tuple[Aged, ...]


class Digest(Message, frozen=True, tag="digest"):
    """All that the sender holds: a mark for each key, and the version held."""

    held: dict[bytes, int]


class Wants(Message, frozen=True, tag="wants"):
    """Marks of entries that the sender lacks, or has older ones of."""

    marks: tuple[bytes, ...]


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Spread | Digest | Wants)


def mark(entry: Entry) -> bytes:
    """Return what names the key of *entry* in a digest: the beginning of its SHA-256."""
    key = ("revoke", entry.revoked) if entry.offer is None else ("offer", *entry.offer.key)
    return hashlib.sha256(_encoder.encode(key)).digest()[:MARK_BYTES]


def version(entry: Entry) -> int:
    """Return how new *entry* is among those of its key; the end of an offer is newer than the offer itself."""
    return 0 if entry.offer is None else entry.offer.sequence * 2 + (entry.kind == "end")


def write(membership: Membership, message: Message) -> bytes:
    """Return *message*, sealed for the members of the swarm."""
    return membership.seal(_encoder.encode(message), purpose=_PURPOSE)


def read(membership: Membership, data: bytes) -> Spread | Digest | Wants:
    """Return the message that *data* is.

    Raises:
        WireError: it is too large, not sealed by a member, or no message.

    """
    if len(data) > LARGEST:
        raise WireError(f"a message of {len(data)} bytes, expected no more than {LARGEST}")
    body = membership.unseal(data, purpose=_PURPOSE)
    try:
        return _decoder.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise WireError(f"a message cannot be read: {error}") from None


def parcels(entries: Iterable[Aged]) -> Iterator[Spread]:
    """Put *entries* into as few messages as pubsub carries safely."""
    parcel: list[Aged] = []
    room = LARGEST_SPREAD - _SEALED_BYTES - _AROUND
    size = 0
    for aged in entries:
        needed = min(len(aged.data), LARGEST_ENTRY) + _AROUND_ENTRY
        if parcel and size + needed > room:
            yield Spread(tuple(parcel))
            parcel, size = [], 0
        parcel.append(aged)
        size += needed
    if parcel:
        yield Spread(tuple(parcel))
