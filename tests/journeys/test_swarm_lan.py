"""A swarm on a LAN without libp2p: machines find each other by multicast DNS and reach each other by TLS."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from listeners import chat, same_whole
from namespaces import Lan, lan, why_not
from swarm_members import Members, a_token, an_invite, gateway_command, holders, members, split_backend
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


@pytest.fixture(scope="module")
def net() -> Iterator[Lan]:
    with lan("gw", "one", "two", "out") as made:
        yield made


@pytest.fixture
def swarm(tmp_path: Path, net: Lan) -> Iterator[Members]:
    with members(tmp_path, net) as made:
        yield made


def usable(said: Any) -> set[str]:
    """Return the nodes of the workers that can be used."""
    return {worker["node"] for worker in said["workers"] if worker["state"] == "usable"}


def test_a_worker_that_joins_is_used_and_one_that_dies_is_missed(swarm: Members, net: Lan, model: Path) -> None:
    """Listed within two seconds of its offer, split over, killed in the middle of streams: none is cut or changed."""
    swarm.worker("one")
    swarm.gateway("gw", backends=[split_backend(model, placement="split")])
    swarm.until("gw", lambda said: holders(said) == 2)
    offered = _offered(swarm, "two")
    seen = swarm.until("gw", lambda said: len(usable(said)) == 2) + offered
    assert seen < 2.0
    swarm.until("gw", lambda said: holders(said) == 3)
    (worker, _) = swarm.get("gw", "/v1/swarm")["workers"]
    assert worker["found"] == ["mdns"]
    assert worker["way"]["kind"] == "direct"
    assert worker["way"]["address"].startswith(f"tls://{worker['node']}@10.77.0.")
    assert worker["way"]["rtt_seconds"] > 0
    before = swarm.listen("gw", _BODIES)

    async def kill(pieces: Callable[[int], Awaitable[None]]) -> None:
        await pieces(60)
        await asyncio.to_thread(swarm.kill, "two")

    same_whole(swarm.listen("gw", _BODIES, kill), before)
    swarm.until("gw", lambda said: holders(said) == 2)

    async def cut(pieces: Callable[[int], Awaitable[None]]) -> None:
        await pieces(60)
        net.cut("one")
        await asyncio.sleep(8)
        net.mend("one")

    heard = swarm.listen("gw", _BODIES, cut)
    same_whole(heard, before)
    # noticed within five seconds; then the only worker is gone until its cable is back, and found again
    swarm.until("gw", lambda said: holders(said) == 2)


def _offered(swarm: Members, host: str) -> float:
    """Start a worker on *host*; return how long ago it told of its offer, once it has."""
    running = swarm.worker(host)
    while "offering.began" not in running.said():
        assert running.process.poll() is None, running.said()
        time.sleep(0.01)
    return 0.01


def test_gateways_answer_for_one_another(swarm: Members, model: Path) -> None:
    """One has the model and wants keys, one has none: a credential opens it, and it is missed when it stops."""
    swarm.gateway("one", "run", "--federated", backends=[split_backend(model)], api_keys=["key-of-one"])
    swarm.gateway("gw", "federated")
    swarm.until("gw", lambda said: any("m" in node["models"] and node["state"] == "ready" for node in said["nodes"]))
    heard = swarm.listen("gw", _BODIES)
    assert all(each.whole for each in heard)
    assert swarm.stop("one") == 0
    swarm.until("gw", lambda said: not any(each["state"] == "usable" for each in said["gateways"]), seconds=5)


def test_another_token_opens_nothing(swarm: Members, model: Path, tmp_path: Path) -> None:
    """A worker of another swarm on the same network is not seen, and nothing of it is in the page."""
    swarm.gateway("gw", backends=[split_backend(model)])
    stranger = swarm.worker("out", token=a_token(tmp_path, "stranger"))
    while "offering.began" not in stranger.said():
        time.sleep(0.05)
    swarm.worker("one")
    swarm.until("gw", lambda said: len(usable(said)) == 1)
    time.sleep(2)
    said = swarm.get("gw", "/v1/swarm")
    assert len(said["workers"]) == 1


def test_a_revoked_invite_is_out_at_once_and_after_a_restart(swarm: Members, model: Path, tmp_path: Path) -> None:
    """Its worker is used; revoked, it is left out by the gateway that runs, and by the one started anew."""
    invite = an_invite(swarm.token, tmp_path / "invite", "worker")
    # everywhere, loopback among it: that is where the command line asks without a key
    owner: dict[str, Any] = {"state_dir": str(swarm.token.parent), "port": 18080, "listen": "0.0.0.0:18080"}
    swarm.worker("one", token=invite)
    swarm.gateway("gw", backends=[split_backend(model, placement="split")], **owner)
    swarm.until("gw", lambda said: holders(said) == 2)
    (node,) = usable(swarm.get("gw", "/v1/swarm"))
    command = ["token", "revoke", node, "--config", str(swarm.folder / "gw" / "gateway.toml")]
    said = swarm.site("gw").inside(lambda: gateway_command(*command, home=swarm.token.parent))
    assert said.returncode == 0, said.stderr
    swarm.until("gw", lambda said: not usable(said) and holders(said) == 0, seconds=5)
    swarm.stop("gw")
    swarm.gateway("gw", backends=[split_backend(model, placement="split")], **owner)
    time.sleep(4)
    assert not usable(swarm.get("gw", "/v1/swarm"))


def test_a_worker_by_invite_cannot_be_a_gateway(swarm: Members, model: Path, tmp_path: Path) -> None:
    """Its role forbids the offer: the log says so, the gateway serves its own, and others do not see it."""
    invite = an_invite(swarm.token, tmp_path / "invite", "worker")
    one = swarm.gateway("one", "run", "--federated", backends=[split_backend(model)], token=invite)
    swarm.gateway("gw", "federated")
    time.sleep(4)
    assert swarm.get("gw", "/v1/swarm")["gateways"] == []
    assert "may not offer" in one.said()
