from __future__ import annotations

import errno

from swarmgate_transport_libp2p.child.mended.dialing import in_order, reason_of

LAN, WAN = "/ip4/10.0.0.5/tcp/1", "/ip4/192.0.2.7/tcp/1"
SIX, HERE = "/ip6/2001:db8::5/tcp/1", "/ip4/127.0.0.1/tcp/1"


def test_families_take_turns_and_loopback_comes_last() -> None:
    """IPv4 and IPv6 alternate in the order given, and this machine's own addresses come last."""
    assert in_order([HERE, LAN, WAN, SIX], 8) == [LAN, SIX, WAN, HERE]


def test_useless_addresses_are_left_out() -> None:
    """Unspecified, portless, relayed and repeated addresses take no place."""
    relayed = f"{WAN}/p2p/x/p2p-circuit"
    assert in_order(["/ip4/0.0.0.0/tcp/1", "/ip4/10.0.0.5/tcp/0", relayed, LAN, LAN], 8) == [LAN]


def test_their_number_is_bounded() -> None:
    """A peer that claims a hundred addresses has as many tried as the limit says."""
    assert len(in_order([f"/ip4/10.0.0.{n}/tcp/1" for n in range(1, 101)], 8)) == 8


def test_names_are_tried_too() -> None:
    """An address by name is dialled like one of IPv4."""
    assert in_order(["/dns4/gate.example/tcp/1"], 8) == ["/dns4/gate.example/tcp/1"]


def test_the_reason_is_the_first_that_says_something() -> None:
    """Of libp2p's wrappings the first cause is told; one of others speaks for itself."""

    class Wrapping(Exception):
        __module__ = "libp2p.network.exceptions"

    inner, middle, outer = OSError("refused"), Wrapping("in between"), Wrapping("outer")
    middle.__cause__, outer.__cause__ = inner, middle
    assert reason_of(outer) == "refused"
    telling = RuntimeError("one of us is not of the other's swarm")
    telling.__cause__ = inner
    middle.__cause__ = telling
    assert reason_of(outer) == "one of us is not of the other's swarm"
    assert reason_of(TimeoutError()) == "TimeoutError"


def test_the_system_says_why_an_address_is_dead() -> None:
    """Of trio's attempts at one address the first one's number is told, in the system's words."""
    failed = OSError("all attempts to connect to 10.0.0.5:4001 failed")
    failed.__cause__ = ExceptionGroup("all of them", [ConnectionRefusedError(errno.ECONNREFUSED, "Error connecting")])
    assert reason_of(failed) == "connection refused"
