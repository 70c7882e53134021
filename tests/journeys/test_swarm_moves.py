"""Machines of a swarm get other addresses while a model is split over them, or served by them, and streams run."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from listeners import chat, same_whole
from namespaces import Lan, lan, why_not
from swarm_members import LAN_ONLY, Members, by_libp2p, holders, members, split_backend
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
#: Where libp2p listens, on every address that the machine has or gets.
_LISTEN = f"/ip4/0.0.0.0/tcp/{_PORT}"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_llama(tmp_path_factory.mktemp("models") / "tiny.gguf", shape=Shape(layers=6))


@pytest.fixture
def net() -> Iterator[Lan]:
    with lan("gw", "one", "two") as made:
        yield made


@pytest.fixture
def swarm(tmp_path: Path, net: Lan) -> Iterator[Members]:
    with members(tmp_path, net, on_loopback=True) as made:
        yield made


def is_held_at(address: str) -> Callable[[Any], bool]:
    """Return whether the one worker or gateway is used, and held at *address*, as ``/v1/swarm`` says."""

    def holds(said: Any) -> bool:
        (each,) = said["workers"] or said["gateways"]
        return each["state"] == "usable" and address in each["way"]["address"]

    return holds


def split(swarm: Members, net: Lan, model: Path, kind: str) -> None:
    """Have *model* split over the machines ``gw`` and ``one``."""
    backends = [split_backend(model, placement="split")]
    swarm.gateway("gw", backends=backends, parts=LAN_ONLY if kind == "lan" else by_libp2p(listen=_LISTEN))
    me = swarm.get("gw", "/v1/swarm")["gateway"]["id"]
    known = f"/ip4/{net.hosts['gw']}/tcp/{_PORT}/p2p/{me}"
    swarm.worker("one", parts=LAN_ONLY if kind == "lan" else by_libp2p(known, listen=_LISTEN))
    swarm.until("gw", lambda said: holders(said) == 2)


@pytest.mark.parametrize("kind", ["lan", "p2p"])
@pytest.mark.parametrize("who", ["one", "gw"])
def test_a_machine_moves_under_a_split_model(swarm: Members, net: Lan, model: Path, who: str, kind: str) -> None:
    """Of a worker or of the gateway: streams pause and are whole and the same, and the crew is as it was."""
    split(swarm, net, model, kind)
    before = swarm.listen("gw", _BODIES)

    async def move(pieces: Callable[[int], Awaitable[None]]) -> None:
        await pieces(60)
        net.move(who, "10.77.0.91")

    same_whole(swarm.listen("gw", _BODIES, move), before)
    swarm.until("gw", lambda said: holders(said) == 2 and is_held_at(net.hosts["one"])(said), seconds=30)


@pytest.mark.parametrize("kind", ["lan", "p2p"])
def test_an_address_beside_the_first_disturbs_nothing(swarm: Members, net: Lan, model: Path, kind: str) -> None:
    """Others are told of it, and nobody lets go of anything: the model stays where it is, in the same engine."""
    split(swarm, net, model, kind)
    engines = swarm.children("gw", "backend_llamacpp.engine")
    net.add("gw", "10.77.0.92")
    net.add("one", "10.77.0.91")
    swarm.until("gw", lambda said: "10.77.0.91" in str(said["workers"][0]["addresses"]))
    assert swarm.children("gw", "backend_llamacpp.engine") == engines
    assert holders(swarm.get("gw", "/v1/swarm")) == 2


@pytest.mark.parametrize("kind", ["lan", "p2p"])
@pytest.mark.parametrize("who", ["one", "gw"])
def test_a_gateway_moves_under_its_answers(swarm: Members, net: Lan, model: Path, who: str, kind: str) -> None:
    """Of the door or of who answers: streams that had begun go on, and the door holds a path to where that is now."""
    swarm.gateway("gw", "federated", parts=LAN_ONLY if kind == "lan" else by_libp2p(listen=_LISTEN))
    me = swarm.get("gw", "/v1/swarm")["gateway"]["id"]
    known = f"/ip4/{net.hosts['gw']}/tcp/{_PORT}/p2p/{me}"
    parts = LAN_ONLY if kind == "lan" else by_libp2p(known, listen=_LISTEN)
    swarm.gateway("one", "run", "--federated", backends=[split_backend(model)], parts=parts)
    swarm.until("gw", lambda said: any(each["state"] == "ready" for each in said["nodes"]))
    before = swarm.listen("gw", _BODIES)

    async def move(pieces: Callable[[int], Awaitable[None]]) -> None:
        await pieces(60)
        net.move(who, "10.77.0.91")

    same_whole(swarm.listen("gw", _BODIES, move), before)
    swarm.until("gw", is_held_at(net.hosts["one"]), seconds=30)
