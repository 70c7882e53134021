from __future__ import annotations

from swarmgate.api import Endpoint
from swarmgate_transport_tls.hosts import MOST, announced, own_addresses, usable

FOUND = [
    ("lo", "127.0.0.1"),
    ("lo", "::1"),
    ("docker0", "172.17.0.1"),
    ("eth0", "fe80::1%2"),
    ("eth0", "fd00::5"),
    ("eth0", "10.0.0.5"),
    ("wlan0", "192.168.1.9"),
]
ANY = Endpoint("::", 7479)


def test_what_others_can_dial_comes_best_first() -> None:
    """IPv4 before IPv6, what containers use last; loopback and what holds on one link alone are left out."""
    assert usable(FOUND, ipv6=True) == ("10.0.0.5", "192.168.1.9", "fd00::5", "172.17.0.1")


def test_ipv6_is_announced_only_where_it_is_listened_on() -> None:
    """A listener for IPv4 is not found at an IPv6 address."""
    assert announced(Endpoint("0.0.0.0", 1), [], FOUND)[-1] == Endpoint("172.17.0.1", 1)  # noqa: S104  # not bound
    assert Endpoint("fd00::5", 7479) in announced(ANY, [], FOUND)


def test_loopback_is_announced_only_if_nothing_else_is_there() -> None:
    """A machine without a network can still be two nodes."""
    assert usable(FOUND[:2], ipv6=True) == ("127.0.0.1",)
    assert usable([], ipv6=True) == ("127.0.0.1",)


def test_no_more_are_announced_than_others_will_dial() -> None:
    """An offer stays small on a machine with many networks."""
    assert len(usable([("eth0", f"10.0.0.{number}") for number in range(1, 100)], ipv6=True)) == MOST


def test_who_listens_at_one_address_is_found_there() -> None:
    """An address of its own is announced as it is."""
    assert announced(Endpoint("10.0.0.5", 1), [], FOUND) == (Endpoint("10.0.0.5", 1),)


def test_announce_overrides_and_lends_its_port() -> None:
    """What the operator says others should dial is told, with our port where none is given."""
    announce = [Endpoint("node.example", 0), Endpoint("203.0.113.5", 8443)]
    assert announced(ANY, announce, FOUND) == (Endpoint("node.example", 7479), Endpoint("203.0.113.5", 8443))


def test_this_machine_has_a_loopback_address() -> None:
    """The system is asked, and answers with addresses that can be read."""
    found = own_addresses()
    assert "127.0.0.1" in {address for _, address in found}
    assert usable(found, ipv6=True)
