"""Several models on the same workers, and llama.cpp's own RPC server among ours."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from listeners import chat, listen_to_all, same_whole
from live_gateway import LiveGateway, live_gateway
from live_worker import live_worker
from split_swarm import SplitSwarm, split_swarm
from tinygguf import Shape, write_llama

pytestmark = [pytest.mark.engine, pytest.mark.journey, pytest.mark.timeout(300)]

_PROGRAM = Path(__file__).parent.parent / "support" / "programs" / "rpc_server.py"


@contextmanager
def llama_cpp_rpc_server() -> Generator[tuple[str, subprocess.Popen[bytes]]]:
    """Run llama.cpp's own server; yield its address and process."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, str(_PROGRAM), str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            yield f"127.0.0.1:{port}", process
        finally:
            process.kill()


def placed(gateway: LiveGateway) -> dict[str, set[str]]:
    """Return who holds layers of each model that is ready."""
    return {
        model["name"]: {place["place"] for place in model["places"] if place["share"]}
        for model in gateway.get("/v1/swarm")["models"]
        if model["ready"]
    }


def test_two_models_share_the_workers(tmp_path: Path) -> None:
    """Each has one of two workers to itself; when one is lost its model goes on where it is left, or waits."""
    shape = Shape(layers=6)
    backends: list[dict[str, Any]] = [
        {"use": "llamacpp", "model": str(write_llama(tmp_path / f"{name}.gguf", seed=seed, shape=shape)), "threads": 1}
        for seed, name in enumerate("ab", 1)
    ]
    with (
        live_worker(tmp_path, "one") as one,
        live_worker(tmp_path, "two") as two,
        live_gateway(
            tmp_path, backends, workers=[one.address, two.address], placement="split", settle_seconds=0.3, wait=False
        ) as gateway,
    ):
        swarm = SplitSwarm(gateway, tmp_path, {"one": one, "two": two})
        swarm.until(lambda: sorted(map(len, placed(gateway).values())) == [2, 2])
        holders = placed(gateway)
        assert holders["a"] & holders["b"] == {"here"}
        bodies = [chat(number, model=name, tokens=20) for number in range(2) for name in "ab"]
        heard = asyncio.run(listen_to_all(gateway.url, bodies))
        assert all(each.whole for each in heard)
        swarm.kill("two")
        swarm.until(lambda: len(placed(gateway)) == 1)
        waiting = [model for model in gateway.get("/v1/swarm")["models"] if not model["ready"]]
        assert waiting[0]["waiting"]


def test_llama_cpps_own_server_is_a_worker_too(tmp_path: Path) -> None:
    """It is split over beside one of ours, and its death in the middle of answers is survived."""
    model = write_llama(tmp_path / "tiny.gguf", shape=Shape(layers=6))
    bodies = [chat(number, tokens=150) for number in range(4)]
    with (
        llama_cpp_rpc_server() as (address, process),
        split_swarm(tmp_path, model, ["ours"], more=[address]) as swarm,
    ):
        swarm.until(lambda: sorted(swarm.holders()) == sorted(["here", "ours", address]))
        undisturbed = asyncio.run(listen_to_all(swarm.gateway.url, bodies))

        async def disturb(pieces: Callable[[int], Awaitable[None]]) -> None:
            await pieces(100)
            process.kill()

        same_whole(asyncio.run(listen_to_all(swarm.gateway.url, bodies, disturb)), undisturbed)
        swarm.until_held_by("here", "ours")
