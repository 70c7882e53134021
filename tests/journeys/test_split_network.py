"""The split over machines of their own: network namespaces on a switch whose cables can be pulled."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from listeners import Heard, chat, listen_to_all, same_whole
from live_gateway import LiveGateway, Site, live_gateway
from live_worker import LiveWorker, live_worker
from namespaces import Lan, lan, why_not
from tinygguf import Shape, write_llama

_WHY_NOT = why_not()
pytestmark = [
    pytest.mark.engine,
    pytest.mark.journey,
    pytest.mark.timeout(300),
    pytest.mark.skipif(bool(_WHY_NOT), reason=_WHY_NOT or "they can be made"),
]

#: A holder that hears nothing from its lender for 6 s gives it up (``SILENCE_SECONDS`` of the lease), and a new engine
#: writes: 8 s here, more where much else runs.  TCP by itself takes a quarter of an hour.
_NOTICED_SECONDS = 40
_PORT = 50052
_BODIES = [chat(number, tokens=400) for number in range(4)]


@dataclass
class Machines:
    """A gateway on one machine and its workers on others."""

    net: Lan
    gateway: LiveGateway
    workers: dict[str, LiveWorker]

    def get(self, path: str) -> Any:
        """Return the JSON at *path* of the gateway, asked on its own machine."""
        return self.net.run("gw", lambda: self.gateway.get(path))

    def listen(self, disturb: Callable[[Callable[[int], Awaitable[None]]], Awaitable[None]] | None) -> list[Heard]:
        """Read streams on the gateway's own machine."""
        return self.net.run("gw", lambda: asyncio.run(listen_to_all(self.gateway.url, _BODIES, disturb)))

    def until_held_by(self, *hosts: str) -> None:
        """Wait until exactly these machines hold layers, the gateway's own being ``here``."""
        wanted = {"here", *(f"{self.net.hosts[host]}:{_PORT}" for host in hosts)}
        end = time.monotonic() + 90
        while True:
            (model,) = self.get("/v1/swarm")["models"]
            if model["ready"] and {place["place"] for place in model["places"] if place["share"]} == wanted:
                return
            assert time.monotonic() < end, f"{model}\n{self.gateway.said()[-4000:]}"
            time.sleep(0.1)


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machines]:
    """Put three machines on a switch and split a tiny model over them."""
    folder: Path = tmp_path_factory.mktemp("network")
    model = write_llama(folder / "tiny.gguf", shape=Shape(layers=6))
    with ExitStack() as stack:
        net = stack.enter_context(lan("gw", "one", "two"))
        workers = {
            host: stack.enter_context(live_worker(folder, host, listen=f"0.0.0.0:{_PORT}", prefix=net.prefix(host)))
            for host in ("one", "two")
        }
        site = Site(net.hosts["gw"], tuple(net.prefix("gw")), lambda do: net.run("gw", do))
        gateway = stack.enter_context(
            live_gateway(
                folder,
                [{"use": "llamacpp", "model": str(model), "name": "m", "threads": 1, "slots": 4}],
                workers=[f"{net.hosts[host]}:{_PORT}" for host in workers],
                site=site,
                placement="split",
                settle_seconds=0.3,
            )
        )
        running = Machines(net, gateway, workers)
        running.until_held_by("one", "two")
        yield running


def test_a_worker_whose_cable_is_pulled(machines: Machines) -> None:
    """Nobody says goodbye; it is noticed within the stated time, and the streams go on with the same text."""
    undisturbed = machines.listen(None)

    async def disturb(pieces: Callable[[int], Awaitable[None]]) -> None:
        await pieces(200)
        machines.net.cut("two")

    try:
        disturbed = machines.listen(disturb)
        same_whole(disturbed, undisturbed)
        assert max(heard.longest for heard in disturbed) < _NOTICED_SECONDS
        machines.until_held_by("one")
    finally:
        machines.net.mend("two")
        machines.until_held_by("one", "two")


def test_a_worker_that_stands_still(machines: Machines) -> None:
    """Stopped by a signal it keeps its connections and says nothing: the same, and it is taken back afterwards."""
    undisturbed = machines.listen(None)
    stopped = machines.workers["one"].process.pid

    async def disturb(pieces: Callable[[int], Awaitable[None]]) -> None:
        await pieces(200)
        os.kill(stopped, signal.SIGSTOP)

    try:
        disturbed = machines.listen(disturb)
        same_whole(disturbed, undisturbed)
        assert max(heard.longest for heard in disturbed) < _NOTICED_SECONDS
    finally:
        os.kill(stopped, signal.SIGCONT)
        machines.until_held_by("one", "two")


def test_the_gateway_on_the_network_is_warned_about(machines: Machines) -> None:
    """Addresses that others can reach by plain TCP are named in the log, once."""
    assert machines.gateway.said().count("discovery.unprotected") == 1
