"""What two peers behind NATs tell each other before they dial at the same moment; pure.

The messages are those of libp2p's DCUtR (specs, ``relay/DCUtR.md``): a protobuf of a type and of addresses, after its
length as an unsigned varint.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

from google.protobuf.message import DecodeError
from libp2p.relay.circuit_v2.pb.dcutr_pb2 import HolePunch
from multiaddr import Multiaddr
from swarmgate.api import WireError

from swarmgate_transport_libp2p.child.mended.announcing import ip_of, is_loopback, is_usable
from swarmgate_transport_libp2p.child.mended.dialing import in_order

PROTOCOL = "/libp2p/dcutr"
#: The longest message, in bytes, without its length; the specification's.
LONGEST = 4096
#: The most addresses that are told, and that are dialled at once of those told.
MOST = 4
#: The longest that who begins waits for its first word to arrive, in seconds: half a round trip of a bad relay.
MOST_DELAY = 2.0

#: The two kinds of messages.
CONNECT, SYNC = int(HolePunch.CONNECT), int(HolePunch.SYNC)


def write(kind: int, addresses: Iterable[str] = ()) -> bytes:
    """Return the message of this *kind*, with its length before it."""
    body = HolePunch(
        type=cast("HolePunch.Type.ValueType", kind), ObsAddrs=[Multiaddr(each).to_bytes() for each in addresses]
    ).SerializeToString()
    low, high = len(body) & 0x7F, len(body) >> 7
    return (bytes([low | 0x80, high]) if high else bytes([low])) + body


def length(head: bytes) -> int | None:
    """Return how long the message is that follows *head*, or None if that needs another byte.

    Raises:
        WireError: no message may be so long.

    """
    if head[-1] & 0x80 and len(head) == 1:
        return None
    size = sum((each & 0x7F) << 7 * place for place, each in enumerate(head))
    if head[-1] & 0x80 or not 0 < size <= LONGEST:
        raise WireError(f"a message about dialling at once has 1 to {LONGEST} bytes")
    return size


def read(body: bytes, kind: int) -> list[str]:
    """Return the addresses in *body*, of those that can be dialled; none of loopback beside others.

    Raises:
        WireError: it is no message of this *kind*.

    """
    message = HolePunch()
    try:
        message.ParseFromString(body)
    except DecodeError as error:
        raise WireError(f"no message about dialling at once: {error}") from None
    if not message.HasField("type") or message.type != kind:
        raise WireError(f"expected a message of type {kind} about dialling at once, got {message.type}")
    told: list[str] = []
    for each in list(message.ObsAddrs)[: 4 * MOST]:
        try:
            told.append(str(Multiaddr(bytes(each))))
        except Exception:  # noqa: BLE001, S112  # a peer's bytes make it raise anything; an address we do not understand is none
            continue
    return in_order((each for each in told if _kind_of(each) is not None), MOST)


def predicted(seen: Iterable[str], listening: Iterable[str]) -> list[str]:
    """Return where a dial that leaves from a port in *listening* is likely to come from, as the other side sees it.

    *seen* are the addresses that relays see us at.  Their ports are those of our connections to the relays; but many
    NATs leave a port as it is when it is free, so what is told is their IP address with the port we listen on.
    """
    ports = [(_kind_of(each), each.split("/")[4]) for each in listening if _kind_of(each) is not None]
    found = (
        f"/{kind}/{ip_of(each)}/tcp/{port}"
        for each in seen
        if is_usable(each)
        for kind, port in ports
        if kind == _kind_of(each)
    )
    return list(dict.fromkeys(found))[:MOST]


def source(address: str, listening: Iterable[str]) -> tuple[str, int] | None:
    """Return from which IP address and port of *listening* to dial *address*; None if there is none of its family.

    What listens on loopback alone cannot be left for anywhere else.
    """
    for each in listening:
        if _kind_of(each) == _kind_of(address) and (is_loopback(address) or not is_loopback(each)):
            return str(ip_of(each)), int(each.split("/")[4])
    return None


def delay(round_trip: float) -> float:
    """Return how long who begins waits after its word to dial, of a *round_trip* through the relay; in seconds."""
    return min(max(round_trip / 2, 0.0), MOST_DELAY)


def _kind_of(address: str) -> str | None:
    """Return ``ip4`` or ``ip6`` of an address by TCP alone, such as /ip4/10.0.0.5/tcp/4001; None of others."""
    parts = address.split("/")
    plain = len(parts) == 5 and parts[3] == "tcp" and parts[1] in {"ip4", "ip6"}  # noqa: PLR2004  # "", kind, value, tcp, port
    return parts[1] if plain else None
