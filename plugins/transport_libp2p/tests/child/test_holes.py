from __future__ import annotations

import pytest
from swarmgate.api import WireError
from swarmgate_transport_libp2p.child import holes

pytestmark = pytest.mark.swarm
HERE, SIX = "/ip4/203.0.113.5/tcp/4001", "/ip6/2001:db8::5/tcp/4001"


def _split(message: bytes) -> bytes:
    """Return the body of *message*, whose length must be right."""
    at = 1
    while (size := holes.length(message[:at])) is None:
        at += 1
    assert len(message) == at + size
    return message[at:]


def test_what_is_written_can_be_read() -> None:
    """Both kinds come back as they were, and the short one is as the specification has it, byte for byte."""
    assert holes.read(_split(holes.write(holes.CONNECT, [HERE, SIX])), holes.CONNECT) == [HERE, SIX]
    assert holes.write(holes.SYNC) == b"\x03\x08\xac\x02"  # field 1, a varint: 300
    assert holes.read(_split(holes.write(holes.SYNC)), holes.SYNC) == []


def test_a_long_message_has_two_bytes_of_length() -> None:
    """From 128 bytes on the varint has another byte, which is asked for."""
    message = holes.write(holes.CONNECT, [HERE] * 20)
    assert holes.length(message[:1]) is None
    assert len(_split(message)) > 127


@pytest.mark.parametrize("head", [b"\0", b"\xff\x7f", b"\xff\xff", b"\x80\x00"])
def test_lengths_that_cannot_be_are_refused(head: bytes) -> None:
    """Nothing, and more than 4 KiB, is no message: whoever says so gets no memory for it."""
    with pytest.raises(WireError, match="1 to 4096 bytes"):
        holes.length(head)


@pytest.mark.parametrize("body", [b"\xff\xff\xff", b"", b"\x12\x00", holes.write(holes.SYNC)[1:]])
def test_other_messages_are_refused(body: bytes) -> None:
    """What is no message, or not of the kind that is due, raises and is not taken for one without addresses."""
    with pytest.raises(WireError, match="about dialling at once"):
        holes.read(body, holes.CONNECT)


def test_addresses_that_cannot_be_dialled_are_left_out() -> None:
    """Of what a peer tells, only addresses by TCP that somebody can be at are dialled, and not many."""
    told = ["/ip4/0.0.0.0/tcp/1", "/ip4/203.0.113.5/udp/4001/quic-v1", "/dns4/example.org/tcp/1", HERE]
    assert holes.read(_split(holes.write(holes.CONNECT, told)), holes.CONNECT) == [HERE]
    many = [f"/ip4/203.0.113.{number}/tcp/1" for number in range(1, 40)]
    assert holes.read(_split(holes.write(holes.CONNECT, many)), holes.CONNECT) == many[: holes.MOST]
    assert holes.read(b"\x08\x64\x12\x03\xff\xff\xff", holes.CONNECT) == []  # an address that is none


def test_the_ip_address_is_what_relays_see_and_the_port_is_ours() -> None:
    """The port that a relay sees is that of our connection to it, which nobody else can come in by."""
    seen = ["/ip4/203.0.113.5/tcp/60700", "/ip4/203.0.113.5/tcp/60701", "/p2p-circuit", "/ip4/0.0.0.0/tcp/1"]
    assert holes.predicted(seen, ["/ip4/0.0.0.0/tcp/4001"]) == [HERE]
    assert holes.predicted(["/ip6/2001:db8::5/tcp/1"], ["/ip4/0.0.0.0/tcp/4001", "/ip6/::/tcp/4001"]) == [SIX]
    assert holes.predicted([], ["/ip4/0.0.0.0/tcp/4001"]) == []


def test_a_dial_leaves_from_the_port_of_its_family() -> None:
    """IPv4 is dialled from where we listen by IPv4; and nothing far away from a port of loopback."""
    listening = ["/ip4/127.0.0.1/tcp/1", "/ip4/0.0.0.0/tcp/4001"]
    assert holes.source(HERE, listening) == ("0.0.0.0", 4001)  # noqa: S104  # an address to compare
    assert holes.source("/ip4/127.0.0.1/tcp/9", listening) == ("127.0.0.1", 1)
    assert holes.source(SIX, listening) is None


@pytest.mark.parametrize(("round_trip", "waits"), [(0.2, 0.1), (60.0, holes.MOST_DELAY), (-1.0, 0.0)])
def test_who_begins_waits_for_its_word_to_arrive(round_trip: float, waits: float) -> None:
    """That is half a round trip; a relay that took a minute once does not cost another half."""
    assert holes.delay(round_trip) == pytest.approx(waits)
