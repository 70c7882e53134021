"""A swarm over two networks with a router between them: no multicast crosses it, the DHT and gossip do."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from listeners import chat, listen_to_all, same_whole
from namespaces import lan, router, why_no_nat, why_not
from swarm_members import Members, Parts, holders, members, split_backend
from tinygguf import Shape, write_llama

_WHY_NOT = why_not()
pytestmark = [
    pytest.mark.engine,
    pytest.mark.journey,
    pytest.mark.timeout(300),
    pytest.mark.skipif(bool(_WHY_NOT), reason=_WHY_NOT or "they can be made"),
]
_BODIES = [chat(number, tokens=200) for number in range(3)]
_PORT = 4001


def parts(*bootstrap: str, tls: bool = True) -> Parts:
    """Return the swarm's usual parts, which begin with *bootstrap*; without *tls*, all bytes go over libp2p."""
    host = {"listen_maddrs": [f"/ip4/0.0.0.0/tcp/{_PORT}"], "bootstrap_peers": list(bootstrap)}
    return [
        ("[[transport]]", {"use": "tcp"}),
        *([("[[transport]]", {"use": "tls"})] if tls else []),
        ("[[transport]]", {"use": "p2p", **host}),
        ("[ledger]", {"use": "gossip", **host}),
        ("[[discovery]]", {"use": "mdns"}),
        ("[[discovery]]", {"use": "dht", **host}),
    ]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_llama(tmp_path_factory.mktemp("models") / "tiny.gguf", shape=Shape(layers=6))


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[tuple[Members, Any]]:
    with ExitStack() as stack:
        here = stack.enter_context(lan("gw", "near"))
        there = stack.enter_context(lan("far", number=1))
        between = stack.enter_context(router(here, there))
        yield stack.enter_context(members(tmp_path, here, there, parts=parts())), between


def address_of(swarm: Members, host: str = "10.77.0.1") -> str:
    """Return where the gateway called ``gw`` can be dialled, as a multiaddress."""
    return f"/ip4/{host}/tcp/{_PORT}/p2p/{swarm.get('gw', '/v1/swarm')['gateway']['id']}"


def ways(said: Any) -> dict[str, str]:
    """Return by which scheme each usable worker is reached."""
    return {
        worker["name"].partition(":")[0]: worker["way"]["address"].partition(":")[0]
        for worker in said["workers"]
        if worker["state"] == "usable"
    }


@pytest.mark.parametrize("tls", [True, False])
def test_machines_of_two_networks_split_a_model(stage: tuple[Members, Any], model: Path, tls: bool) -> None:
    """One is found on the LAN, one by the DHT; both are used, over TLS or over libp2p, and a death cuts no stream."""
    swarm, _ = stage
    swarm.gateway("gw", backends=[split_backend(model, placement="split")], parts=parts(tls=tls))
    known = address_of(swarm)
    swarm.worker("far", parts=parts(known, tls=tls))
    swarm.worker("near", parts=parts(tls=tls))
    swarm.until("gw", lambda said: holders(said) == 3, seconds=90)
    assert ways(swarm.get("gw", "/v1/swarm")) == dict.fromkeys(("near", "far"), "tls" if tls else "p2p")

    before = swarm.listen("gw", _BODIES)

    async def kill(pieces: Callable[[int], Awaitable[None]]) -> None:
        await pieces(60)
        await asyncio.to_thread(swarm.kill, "far")

    same_whole(swarm.listen("gw", _BODIES, kill), before)
    swarm.until("gw", lambda said: holders(said) == 2)


def test_a_partition_heals(stage: tuple[Members, Any], model: Path) -> None:
    """The router stops: the far worker is missed within seconds and comes back by itself when it forwards again."""
    swarm, between = stage
    swarm.gateway("gw", backends=[split_backend(model)])
    known = address_of(swarm)
    swarm.worker("far", parts=parts(known))
    swarm.until("gw", lambda said: "far" in ways(said), seconds=90)
    between.cut()
    assert swarm.until("gw", lambda said: "far" not in ways(said), seconds=15) < 8
    time.sleep(20)
    between.mend()
    swarm.until("gw", lambda said: "far" in ways(said), seconds=90)


@pytest.mark.skipif(bool(why_no_nat()), reason=why_no_nat() or "addresses can be translated")
def test_a_worker_behind_a_nat_is_used(tmp_path: Path, model: Path) -> None:
    """Nobody can dial it; it dials the gateway, and the gateway's bytes go back over the same libp2p connection."""
    with ExitStack() as stack:
        behind = stack.enter_context(lan("far"))
        outside = stack.enter_context(lan("gw", number=1))
        stack.enter_context(router(behind, outside, nat=True))
        swarm = stack.enter_context(members(tmp_path, behind, outside, parts=parts()))
        swarm.gateway("gw", backends=[split_backend(model, placement="split")])
        known = address_of(swarm, "10.77.1.1")
        swarm.worker("far", parts=parts(known))
        swarm.until("gw", lambda said: holders(said) == 2, seconds=90)
        said = swarm.get("gw", "/v1/swarm")
        assert ways(said) == {"far": "p2p"}
        assert said["workers"][0]["way"]["kind"] == "direct"
        heard = swarm.site("gw").inside(lambda: asyncio.run(listen_to_all(swarm.started["gw"].url, _BODIES)))
        assert all(each.whole for each in heard)


def test_libp2p_may_die_and_tunnels_go_on(stage: tuple[Members, Any], model: Path) -> None:
    """The child is killed in the middle of streams that go by TLS: none notices, and the swarm forms again."""
    swarm, _ = stage
    swarm.gateway("gw", backends=[split_backend(model, placement="split")])
    known = address_of(swarm)
    swarm.worker("far", parts=parts(known))
    swarm.until("gw", lambda said: holders(said) == 2, seconds=90)
    (child,) = swarm.children("gw", "transport_libp2p")

    async def kill(pieces: Callable[[int], Awaitable[None]]) -> None:
        await pieces(30)
        os.kill(child, signal.SIGKILL)

    before, engines = swarm.listen("gw", _BODIES), swarm.children("gw", "backend_llamacpp.engine")
    same_whole(swarm.listen("gw", _BODIES, kill), before)
    assert swarm.children("gw", "backend_llamacpp.engine") == engines, (
        "the split stood on TLS, and had to be loaded again"
    )
    assert holders(swarm.get("gw", "/v1/swarm")) == 2
    # a new machine is found by the new child
    swarm.worker("near", parts=[part for part in parts(known) if part[1]["use"] != "mdns"])
    swarm.until("gw", lambda said: set(ways(said)) == {"near", "far"}, seconds=90)
    assert swarm.children("gw", "transport_libp2p") not in ([], [child])


@pytest.mark.skipif(bool(why_no_nat()), reason=why_no_nat() or "packets can be filtered")
def test_the_way_changes_while_a_stream_runs(stage: tuple[Members, Any], model: Path) -> None:
    """The port of TLS is closed in the middle of streams: they go on over libp2p, whole and the same."""
    swarm, _ = stage
    swarm.gateway("gw", backends=[split_backend(model, placement="split")])
    known = address_of(swarm)
    swarm.worker("far", parts=parts(known))
    swarm.until("gw", lambda said: holders(said) == 2, seconds=90)
    assert ways(swarm.get("gw", "/v1/swarm")) == {"far": "tls"}

    async def close(pieces: Callable[[int], Awaitable[None]]) -> None:
        await pieces(30)
        swarm.run(
            "far",
            "nft",
            "add table ip shut; add chain ip shut in { type filter hook input priority 0; };"
            " add rule ip shut in tcp dport 7479 drop",
        )

    before = swarm.listen("gw", _BODIES)
    same_whole(swarm.listen("gw", _BODIES, close), before)
    swarm.until("gw", lambda said: ways(said) == {"far": "p2p"} and holders(said) == 2, seconds=90)


def test_a_node_found_three_ways_is_one(stage: tuple[Members, Any], model: Path) -> None:
    """In the static list, by multicast DNS and by gossip: it holds layers once, and the other entry says why not."""
    swarm, _ = stage
    static = ("[[discovery]]", {"use": "static", "workers": ["10.77.0.2:50052"]})
    swarm.gateway("gw", backends=[split_backend(model, placement="split")], parts=[*parts(), static])
    known = address_of(swarm)
    swarm.worker("near", "--listen", "0.0.0.0:50052", parts=parts(known))
    swarm.until("gw", lambda said: len(said["workers"]) == 2 and holders(said) == 2, seconds=90)
    swarm.until("gw", lambda said: {"mdns", "static"} <= {way for each in said["workers"] for way in each["found"]})
    said = swarm.get("gw", "/v1/swarm")
    states = sorted(worker["state"] for worker in said["workers"])
    assert states == ["left_out", "usable"]
    (other,) = [worker for worker in said["workers"] if worker["state"] == "left_out"]
    assert "already" in other["reason"]


@pytest.mark.parametrize("tls", [True, False])
def test_answers_go_on_at_another_gateway_of_the_swarm(stage: tuple[Members, Any], model: Path, tls: bool) -> None:
    """Two have the model, the door has none: one is killed in the middle of streams, and none is cut or changed."""
    swarm, _ = stage
    swarm.gateway("gw", "federated", parts=parts(tls=tls))
    known = address_of(swarm)
    for host in ("near", "far"):
        swarm.gateway(host, "run", "--federated", backends=[split_backend(model)], parts=parts(known, tls=tls))
    swarm.until("gw", lambda said: sum(each["state"] == "ready" for each in said["nodes"]) == 2, seconds=90)
    taken = {each["way"]["address"].partition(":")[0] for each in swarm.get("gw", "/v1/swarm")["gateways"]}
    assert taken == {"tls" if tls else "p2p"}

    before = swarm.listen("gw", _BODIES)

    async def kill(pieces: Callable[[int], Awaitable[None]]) -> None:
        await pieces(60)
        await asyncio.to_thread(swarm.kill, "far")

    same_whole(swarm.listen("gw", _BODIES, kill), before)
