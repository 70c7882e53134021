"""A swarm whose machines have IPv6 addresses and no others."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

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


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_llama(tmp_path_factory.mktemp("models") / "tiny.gguf", shape=Shape(layers=6))


@pytest.fixture
def net() -> Iterator[Lan]:
    with lan("gw", "one", "two", ipv6=True) as made:
        yield made


@pytest.fixture
def swarm(tmp_path: Path, net: Lan) -> Iterator[Members]:
    with members(tmp_path, net, on_loopback=True) as made:
        yield made


def listening(swarm: Members, host: str) -> list[str]:
    """Return where libp2p of the gateway on *host* can be dialled, as it logs it for who wants to join."""
    while True:
        for line in swarm.started[host].said().splitlines():
            if '"p2p.listening"' in line:
                return json.loads(line)["addresses"]
        time.sleep(0.05)


@pytest.mark.parametrize("kind", ["lan", "p2p"])
def test_a_model_is_split_and_a_death_cuts_no_stream(swarm: Members, model: Path, kind: str) -> None:
    """Found by multicast DNS and held by TLS, or by libp2p alone: with nothing set but the token, as over IPv4."""
    parts = LAN_ONLY if kind == "lan" else by_libp2p()
    swarm.gateway("gw", backends=[split_backend(model, placement="split")], parts=parts)
    parts = LAN_ONLY if kind == "lan" else by_libp2p(*listening(swarm, "gw"))
    for host in ("one", "two"):
        swarm.worker(host, parts=parts)
    swarm.until("gw", lambda said: holders(said) == 3)
    addresses = [each["way"]["address"] for each in swarm.get("gw", "/v1/swarm")["workers"]]
    assert all("fd77::" in address for address in addresses), addresses
    before = swarm.listen("gw", _BODIES)

    async def kill(pieces: Callable[[int], Awaitable[None]]) -> None:
        await pieces(60)
        await asyncio.to_thread(swarm.kill, "two")

    same_whole(swarm.listen("gw", _BODIES, kill), before)
    swarm.until("gw", lambda said: holders(said) == 2)


def test_a_gateway_answers_for_another_and_moves(swarm: Members, net: Lan, model: Path) -> None:
    """A door without a model finds it, and its answers go on when that machine gets another address."""
    swarm.gateway("one", "run", "--federated", backends=[split_backend(model)])
    swarm.gateway("gw", "federated")
    swarm.until("gw", lambda said: any(each["state"] == "ready" for each in said["nodes"]))
    before = swarm.listen("gw", _BODIES)

    async def move(pieces: Callable[[int], Awaitable[None]]) -> None:
        await pieces(60)
        net.move("one", "fd77::91")

    same_whole(swarm.listen("gw", _BODIES, move), before)
    swarm.until("gw", lambda said: "[fd77::91]" in said["gateways"][0]["way"]["address"], seconds=30)


def test_the_doctor_hears_multicast(swarm: Members) -> None:
    """What is sent to the group of IPv6 arrives, and that is said of the interface by its address."""
    swarm.gateway("gw")
    command = [*swarm.site("gw").prefix, str(Path(sys.executable).with_name("gateway")), "doctor"]
    said = subprocess.run(command, cwd=swarm.folder / "gw", capture_output=True, text=True, check=False).stdout
    assert "interface fd77::1" in said
    assert "multicast.not_received" not in said
