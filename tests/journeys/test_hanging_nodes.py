"""Nodes that take a request and hang, as the operating system can make any process do: nobody waits for them long.

All options are the defaults, but where a test says why not.
"""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from fleet import Fleet, a_fleet
from listeners import Heard, listen
from live_gateway import LiveGateway, free_port, live_gateway
from misbehaving import a_node, hang, well

pytestmark = pytest.mark.journey

#: Two seconds of silence, two looks of three seconds, and some for a machine that has much to do.
_NOTICED_SECONDS = 8.0 + 7.0
_WORDS = [f"word{number} " for number in range(60)]
_TEXT = "".join(_WORDS)
_SLOW = [{"use": "echo", "model": "m", "delay_seconds": 0.05, "slots": 8}]


def asked(**more: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": _TEXT}]
    return {"model": "m", "messages": messages, "stream": True, "stream_options": {"include_usage": True}, **more}


@contextmanager
def frozen(*gateways: LiveGateway) -> Generator[None]:
    """Have the kernel run nothing of these processes, whose connections it keeps open, as long as the block lasts."""
    for gateway in gateways:
        gateway.process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        for gateway in gateways:
            gateway.process.send_signal(signal.SIGCONT)


def counted(hub: LiveGateway, what: str) -> float:
    """Return the sum of that counter over all labels."""
    lines = httpx.get(f"{hub.url}/metrics").text.splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"{what}_total"))


def in_flight(fleet: Fleet) -> list[int]:
    """Return how many requests each node has under way, as the hub sees it."""
    nodes = fleet.hub.get("/v1/swarm")["nodes"]
    by_name = {node["node"]: node["in_flight"] for node in nodes}
    return [by_name[f"node-{number}"] for number in range(len(fleet.nodes))]


async def until_busy(fleet: Fleet, count: int) -> int:
    """Return the first node that has *count* requests under way, when there is one."""
    busy = [0]
    for _ in range(1000):
        busy = await asyncio.to_thread(in_flight, fleet)
        if max(busy) >= count:
            return busy.index(max(busy))
        await asyncio.sleep(0.01)
    raise AssertionError(f"nobody has {count} under way: {busy}")


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Generator[Fleet]:
    """Run three nodes that take 50 ms for a word, and a hub in front of them."""
    with a_fleet(tmp_path_factory.mktemp("fleet"), _SLOW, _SLOW, _SLOW) as fleet:
        fleet.until_slots(24, "m")
        yield fleet


def test_requests_to_a_frozen_node_are_answered_by_the_others(fleet: Fleet) -> None:
    """It accepts and says nothing; whoever it was given begins elsewhere, in seconds, and none fails."""

    async def ask_all() -> list[Heard]:
        async with httpx.AsyncClient(base_url=fleet.hub.url, timeout=60) as client:
            return await asyncio.gather(*(listen(client, asked()) for _ in range(12)))

    hung = counted(fleet.hub, "gateway_hangs")
    began = time.monotonic()
    with frozen(fleet.nodes[0]):
        heard = asyncio.run(ask_all())
        seconds = time.monotonic() - began
    assert [each.text for each in heard] == [_TEXT] * 12
    assert all(each.whole for each in heard)
    assert seconds < _NOTICED_SECONDS + len(_WORDS) * 0.05
    assert counted(fleet.hub, "gateway_hangs") >= hung + 1
    fleet.until_slots(24, "m")


def test_streams_of_a_node_that_freezes_go_on_elsewhere(fleet: Fleet) -> None:
    """After some words it says nothing more, and another one goes on: same text, same usage, one stream each."""

    async def ask_and_freeze() -> list[Heard]:
        pieces = 0
        enough = asyncio.Event()

        def count() -> None:
            nonlocal pieces
            pieces += 1
            if pieces >= 60:
                enough.set()

        async with httpx.AsyncClient(base_url=fleet.hub.url, timeout=60) as client, asyncio.TaskGroup() as tasks:
            streams = [tasks.create_task(listen(client, asked(), count)) for _ in range(6)]
            await enough.wait()
            with frozen(fleet.nodes[await until_busy(fleet, 1)]):
                return list(await asyncio.gather(*streams))

    resumed = counted(fleet.hub, "gateway_resumes")
    heard = asyncio.run(ask_and_freeze())
    assert [each.text for each in heard] == [_TEXT] * 6
    assert all(each.whole for each in heard)
    assert {each.usage["completion_tokens"] for each in heard} == {len(_TEXT)}
    assert max(each.longest for each in heard) < _NOTICED_SECONDS
    assert max(each.longest for each in heard) > 2
    assert counted(fleet.hub, "gateway_resumes") >= resumed + 1
    assert counted(fleet.hub, "gateway_streams_truncated") == 0
    fleet.until_slots(24, "m")


def test_a_client_that_leaves_a_frozen_node_frees_everything(fleet: Fleet) -> None:
    """Whoever hangs up while the node hangs is forgotten at once, by the hub as by its queue."""

    async def ask_and_leave() -> float:
        async with httpx.AsyncClient(base_url=fleet.hub.url, timeout=60) as client:
            stream = asyncio.create_task(listen(client, asked()))
            with frozen(*fleet.nodes):
                await until_busy(fleet, 1)
                left = time.monotonic()
                stream.cancel()
                while max(await asyncio.to_thread(in_flight, fleet)):  # noqa: ASYNC110 -- in another process
                    await asyncio.sleep(0.01)
                return time.monotonic() - left

    assert asyncio.run(ask_and_leave()) < 1.5
    fleet.until_slots(24, "m")


def test_a_long_silence_of_one_that_lives_is_no_hang(tmp_path: Path) -> None:
    """A node that is silent for forty times as long as it takes to be looked at, and answers, keeps its request."""
    backend = [{"use": "echo", "model": "m", "delay_seconds": 2.0}]
    with live_gateway(tmp_path / "node", backend) as node:
        patient = {"use": "openai", "url": node.url, "silence_seconds": 0.05, "sign_seconds": 1.0}
        with live_gateway(tmp_path / "hub", [patient], arguments=("federated",)) as hub:
            answer = whole(hub, "slow")
            assert answer.json()["choices"][0]["message"]["content"] == "slow"
            assert answer.headers["x-gateway-attempts"] == "1"
            assert (counted(hub, "gateway_hangs"), counted(hub, "gateway_hedges")) == (0, 0)


def test_a_frozen_server_of_another_kind_is_noticed_once_it_is_known(tmp_path: Path) -> None:
    """It answered a look while it wrote; frozen later, it is given up as soon as a gateway would be."""
    with timed_node(0.02) as first, timed_node(1) as second, in_front(tmp_path, first.url, second.url) as hub:
        assert len(whole(hub, "one", max_tokens=16).json()["choices"]) == 1  # takes four seconds
        first.process.send_signal(signal.SIGSTOP)
        began = time.monotonic()
        answer = whole(hub, "two", max_tokens=8)
        assert answer.json()["choices"][0]["message"]["content"] == "wor " * 8
        assert time.monotonic() - began < _NOTICED_SECONDS
        assert answer.headers["x-gateway-attempts"] == "2"
        assert counted(hub, "gateway_hangs") == 1
        again = whole(hub, "three", max_tokens=8)
        assert again.headers["x-gateway-attempts"] == "1", "nobody asks it until it answers a look"


def test_a_server_whose_engine_is_stuck_loses_to_a_free_one(tmp_path: Path) -> None:
    """It answers looks, and so is never said to hang; another one is asked beside it, and it is hung up on."""
    with (
        a_node(well) as stuck,
        live_gateway(tmp_path / "good", [{"use": "echo", "model": "m"}]) as good,
        in_front(tmp_path / "hub", stuck.url, good.url, hedge_seconds=1.0) as hub,
    ):
        assert whole(hub, "hello").headers["x-gateway-attempts"] == "1"
        stuck.conduct = hang
        began = time.monotonic()
        answer = whole(hub, "hello")
        assert answer.json()["choices"][0]["message"]["content"] == "hello"
        assert answer.headers["x-gateway-attempts"] == "2"
        assert 1.0 <= time.monotonic() - began < 6.0
        assert stuck.left.wait(5)
        assert (counted(hub, "gateway_hangs"), counted(hub, "gateway_hedges")) == (0, 1)
        decision = hub.get(f"/v1/requests/{answer.headers['x-request-id']}")["decisions"][-1]
        assert "silent" in [place.get("hindrance") for place in decision["places"]]


@dataclass(frozen=True)
class Stranger:
    """A server of another kind that takes its time: where it is, and its process."""

    url: str
    process: subprocess.Popen[bytes]


@contextmanager
def timed_node(speed: float) -> Generator[Stranger]:
    """Run a server that writes 200 tokens a second times *speed*, in a process of its own."""
    port = free_port()
    program = Path(__file__).parents[2] / "bench" / "sidebyside" / "timed_node.py"
    command = [sys.executable, str(program), str(port), str(speed)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            yield Stranger(f"http://127.0.0.1:{port}", process)
        finally:
            process.kill()


def in_front(folder: Path, *nodes: str, **settings: Any) -> AbstractContextManager[LiveGateway]:
    """Run a hub that asks the first of *nodes* that is free, with the options that a backend has by default."""
    backends = [{"use": "openai", "url": url} for url in nodes]
    tables = [("[balancer]", {"use": "first_free"})]
    return live_gateway(folder, backends, arguments=("federated",), tables=tables, **settings)


def whole(hub: LiveGateway, text: str, **more: Any) -> httpx.Response:
    """Ask for an answer in one piece, which comes."""
    (model,) = [entry["id"] for entry in hub.get("/v1/models")["data"]]
    body = {"model": model, "messages": [{"role": "user", "content": text}], **more}
    answer = httpx.post(f"{hub.url}/v1/chat/completions", json=body, timeout=60)
    assert answer.status_code == 200, answer.text
    return answer
