from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from swarmgate.api import NodeId, WireError, peer_id
from swarmgate_transport_libp2p.addresses import (
    LONGEST,
    MOST_HINTS,
    Address,
    read,
    tidied,
    with_peer,
    write,
)

PEER = peer_id(bytes(32))


def test_an_address_says_who_what_and_where() -> None:
    """The peer is the authority, the service the path, and the hints are the query."""
    address = Address(PEER, "llama-rpc", ("/ip4/10.0.0.5/tcp/4001", "/ip6/fd00::5/tcp/4001"))
    assert write(address) == f"p2p://{PEER}/llama-rpc?at=/ip4/10.0.0.5/tcp/4001&at=/ip6/fd00::5/tcp/4001"
    assert read(write(address)) == address


def test_hints_may_be_missing() -> None:
    """Where the peer is can also be found out in other ways."""
    assert read(f"p2p://{PEER}/gateway") == Address(PEER, "gateway")


def test_hints_that_do_not_fit_are_left_out() -> None:
    """An address is never longer than an offer may have it."""
    long = tuple(f"/dns4/{'x' * 200}{number}/tcp/1" for number in range(9))
    text = write(Address(PEER, "gateway", long))
    assert len(text) <= LONGEST
    assert read(text).hints == long[: len(read(text).hints)]
    assert read(text).hints


def test_what_is_no_multiaddress_is_no_hint() -> None:
    """A hint cannot carry anything but a multiaddress into what dials."""
    bad = ("", "10.0.0.5:4001", "/ip4/1.2.3.4/tcp/1 --flag", "/x\n/y", "/" + "a" * 300)
    assert tidied([*bad, "/ip4/1.2.3.4/tcp/1"]) == ["/ip4/1.2.3.4/tcp/1"]
    assert len(tidied(f"/ip4/1.2.3.4/tcp/{port}" for port in range(1, 100))) == MOST_HINTS


def test_the_peer_at_a_hints_end_is_left_out() -> None:
    """The address names the peer already; the relay in a relayed address stays."""
    relayed = f"/ip4/1.2.3.4/tcp/1/p2p/{PEER}/p2p-circuit"
    assert tidied([f"/ip4/1.2.3.4/tcp/1/p2p/{PEER}", relayed]) == ["/ip4/1.2.3.4/tcp/1", relayed]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "p2p:",
        "p2p://",
        f"p2p://{PEER}",
        f"p2p://{PEER}/",
        f"p2p://{PEER}/a/b",
        f"p2p://{PEER}/-x",
        f"p2p://{PEER[:-1]}/gateway",
        "p2p://127.0.0.1:4001",
        f"tcp://{PEER}/gateway",
        "p2p://[/gateway",
        f"p2p://{PEER}/gateway?at=" + "/x" * LONGEST,
    ],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    """Anything but a peer's id and a service is refused, and the message is not longer than an address."""
    with pytest.raises(WireError) as caught:
        read(text)
    assert len(str(caught.value)) < LONGEST + 200


@given(st.text(max_size=2000) | st.text(max_size=300).map(lambda rest: f"p2p://{PEER}/{rest}"))
def test_reading_anything_gives_an_address_or_a_wire_error(text: str) -> None:
    """Whatever others offer as an address, reading it raises nothing else, and writes back to itself."""
    try:
        address = read(text)
    except WireError:
        return
    assert read(write(address)) == address


def test_a_bootstrap_address_says_whose_it_is() -> None:
    """It is a multiaddress with the peer at its end."""
    assert with_peer(f" /ip4/1.2.3.4/tcp/1/p2p/{PEER}\n") == (PEER, "/ip4/1.2.3.4/tcp/1")
    for bad in ("/ip4/1.2.3.4/tcp/1", f"1.2.3.4/p2p/{PEER}", "/ip4/1.2.3.4/tcp/1/p2p/QmX", ""):
        with pytest.raises(WireError):
            with_peer(bad)


def test_a_node_id_is_its_peer_id() -> None:
    """What an address names is the node's id, as offers have it."""
    assert read(f"p2p://{PEER}/gateway").peer == NodeId(PEER)
