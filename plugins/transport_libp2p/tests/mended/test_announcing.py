from __future__ import annotations

import pytest
from swarmgate_transport_libp2p.child.mended.announcing import announced, ip_of, is_loopback, is_usable

OWN = ["127.0.0.1", "::1", "10.0.0.5", "192.168.7.2", "fe80::1", "2001:db8::5"]


def test_everywhere_becomes_this_machines_addresses() -> None:
    """0.0.0.0 and :: are spread over the interfaces of their family, without loopback and link-local."""
    listening = ["/ip4/0.0.0.0/tcp/4001", "/ip6/::/tcp/4001"]
    assert announced(listening, OWN) == [
        "/ip4/10.0.0.5/tcp/4001",
        "/ip4/192.168.7.2/tcp/4001",
        "/ip6/2001:db8::5/tcp/4001",
    ]


def test_loopback_is_announced_only_alone() -> None:
    """A host that listens on loopback alone says so; with anything else beside it, it does not."""
    assert announced(["/ip4/127.0.0.1/tcp/1"], OWN) == ["/ip4/127.0.0.1/tcp/1"]
    assert announced(["/ip4/127.0.0.1/tcp/1", "/ip4/10.0.0.5/tcp/1"], OWN) == ["/ip4/10.0.0.5/tcp/1"]
    assert announced(["/ip4/0.0.0.0/tcp/1"], ["127.0.0.1"]) == ["/ip4/127.0.0.1/tcp/1"]


def test_an_address_is_announced_once() -> None:
    """What is listened on twice, once by name and once by everywhere, stands there once."""
    assert announced(["/ip4/10.0.0.5/tcp/1", "/ip4/0.0.0.0/tcp/1"], ["10.0.0.5"]) == ["/ip4/10.0.0.5/tcp/1"]


@pytest.mark.parametrize(
    ("address", "ip", "loopback", "usable"),
    [
        ("/ip4/127.0.0.1/tcp/5", "127.0.0.1", True, True),
        ("/ip6/::1/tcp/5", "::1", True, True),
        ("/ip4/0.0.0.0/tcp/5", "0.0.0.0", False, False),  # noqa: S104  # an example, not a binding
        ("/ip6/::/tcp/5", "::", False, False),
        ("/ip4/10.0.0.5/tcp/0", "10.0.0.5", False, False),
        ("/ip4/10.0.0.5/tcp/0/p2p/x", "10.0.0.5", False, False),
        ("/ip4/10.0.0.5/tcp/40", "10.0.0.5", False, True),
        ("/dns4/gate.example/tcp/5", None, False, True),
    ],
)
def test_addresses_are_told_apart(address: str, ip: str | None, loopback: bool, usable: bool) -> None:
    """An address' IP, and whether it is loopback or of any use, are read off its text."""
    assert (ip_of(address), is_loopback(address), is_usable(address)) == (ip, loopback, usable)
