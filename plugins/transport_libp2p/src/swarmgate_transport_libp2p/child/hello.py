"""How two peers show one another that they belong to one swarm.  Bytes in, certificates out; no I/O here.

Format: one byte for the version, two (big endian) for the length, and so many bytes that are sealed for members of the
swarm (:meth:`swarmgate.api.Membership.seal`, purpose ``hello``): a MessagePack array of the sender's certificate, DER,
of the multiaddresses where it can be dialled, and of whether it relays for others.  Who dialled says it first; who was
dialled answers with its own once the first has been found good, and says nothing at all otherwise.
Whoever has not the token can neither read nor write one, and whoever copies one has not the key that the connection
(Noise) has shown the other to have.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from swarmgate.api import Membership, WireError

from swarmgate_transport_libp2p.addresses import tidied

PROTOCOL = "/swarmgate/hello/1"
VERSION = 1
HEAD_BYTES = 3
#: No honest hello is longer, in bytes, without its head.
LARGEST = 8192
_PURPOSE = b"hello"


class Shown(msgspec.Struct, frozen=True, array_like=True):
    """What a hello shows: the certificate, where its node can be dialled, and whether it relays for others."""

    certificate: bytes
    addresses: tuple[str, ...] = ()
    relays: bool = False


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Shown)


def write(membership: Membership, addresses: Sequence[str] = (), *, relays: bool = False) -> bytes:
    """Return the hello of the node whose *membership* it is, and which can be dialled at *addresses*."""
    shown = Shown(membership.certificate, tuple(tidied(addresses)), relays)
    body = membership.seal(_encoder.encode(shown), purpose=_PURPOSE)
    return bytes((VERSION,)) + len(body).to_bytes(2, "big") + body


def length(head: bytes) -> int:
    """Return how many bytes follow the *head*, which is :data:`HEAD_BYTES` long.

    Raises:
        WireError: it is of another version, or announces too much.

    """
    size = int.from_bytes(head[1:HEAD_BYTES], "big")
    if head[0] != VERSION:
        raise WireError(f"a hello of version {head[0]}, expected {VERSION}: use the same swarmgate on all machines")
    if not 0 < size <= LARGEST:
        raise WireError(f"a hello announces {size} bytes, expected no more than {LARGEST}")
    return size


def read(membership: Membership, body: bytes, peer: str) -> Shown:
    """Return what the hello with this *body* shows, over a connection whose other end is *peer*.

    Raises:
        WireError: it was not sealed by a member, or the certificate is not good, or not that of *peer*.

    """
    try:
        shown = _decoder.decode(membership.unseal(body, purpose=_PURPOSE))
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise WireError(f"a hello cannot be read: {error}") from None
    member = membership.examine(shown.certificate)
    if member.id != peer:
        raise WireError(f"{peer} shows the certificate of {member.id}")
    return Shown(shown.certificate, tuple(tidied(shown.addresses)), shown.relays)
