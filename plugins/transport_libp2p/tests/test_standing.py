from __future__ import annotations

from swarmgate.api import Endpoint, NodeId
from swarmgate_transport_libp2p.addresses import Address
from swarmgate_transport_libp2p.messages import Expose, Join, Know, Reach, Seek, Stands
from swarmgate_transport_libp2p.standing import Held, Standing

PEER = NodeId("peer")
WHERE = Address(PEER, "gateway", ("/ip4/10.0.0.5/tcp/1",))


def test_a_fresh_child_is_told_all_that_stands() -> None:
    """It learns what we take part in, whom we know, what we expose, and which paths are held on which ports."""
    standing = Standing(joined=True, seeking=True)
    standing.learn(PEER, ["/ip4/10.0.0.5/tcp/1"])
    standing.exposed["gateway"] = Endpoint("127.0.0.1", 80)
    standing.held[1] = Held(WHERE, "p2p://", port=5000)
    standing.held[2] = Held(WHERE, "p2p://", error="refused")
    assert standing.frames() == [
        Join(),
        Seek(),
        Know(PEER, ("/ip4/10.0.0.5/tcp/1",)),
        Expose("gateway", "127.0.0.1", 80),
        Reach(1, PEER, "gateway", ("/ip4/10.0.0.5/tcp/1",), 5000),
    ]


def test_nothing_stands_at_first() -> None:
    """A child that is to do nothing is told nothing."""
    assert Standing().frames() == []


def test_what_is_known_is_not_told_again() -> None:
    """Only an address that is new is worth telling."""
    standing = Standing()
    assert standing.learn(PEER, ["/ip4/10.0.0.5/tcp/1", "nonsense"]) == ("/ip4/10.0.0.5/tcp/1",)
    assert standing.learn(PEER, ["/ip4/10.0.0.5/tcp/1"]) == ()
    assert standing.learn(PEER, ["/ip4/10.0.0.6/tcp/1"]) == ("/ip4/10.0.0.6/tcp/1",)
    assert standing.known[PEER] == ("/ip4/10.0.0.6/tcp/1", "/ip4/10.0.0.5/tcp/1")


def test_a_second_exposure_has_a_name_of_its_own() -> None:
    """Others say by the name which exposure of a service they mean; a name that is free again is used again."""
    standing = Standing()
    for name in ("gateway", "gateway.2", "gateway.3"):
        assert standing.name_for("gateway") == name
        standing.exposed[name] = Endpoint("127.0.0.1", 80)
    del standing.exposed["gateway.2"]
    assert standing.name_for("gateway") == "gateway.2"
    assert standing.name_for("llama-rpc") == "llama-rpc"


def test_a_path_says_how_its_bytes_go() -> None:
    """It has the child's word for it, and says so where there is none."""
    held = Held(WHERE, "p2p://peer/gateway", port=5000)
    assert held.way.reason == "libp2p is being restarted"
    held.stands = Stands(1, "relayed", 0.02, "")
    assert (held.way.address, held.way.kind, held.way.rtt_seconds, held.way.reason) == (held.text, "relayed", 0.02, "")
