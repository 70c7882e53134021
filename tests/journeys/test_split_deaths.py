"""Workers and engines are killed at random tokens, and every stream goes on with the text it would have had."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterator

import pytest
from listeners import Heard, chat, listen_to_all, same_whole
from split_swarm import SplitSwarm, split_swarm
from swarmgate_backend_llamacpp.bundled import find_model
from tinygguf import Shape, write_llama

pytestmark = [pytest.mark.engine, pytest.mark.journey, pytest.mark.timeout(600)]

_STREAMS, _TOGETHER, _TOKENS = 52, 4, 120


@pytest.fixture(scope="module")
def swarm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SplitSwarm]:
    """Run a tiny model, which never ends by itself, over this machine and two workers."""
    folder = tmp_path_factory.mktemp("deaths")
    with split_swarm(folder, write_llama(folder / "tiny.gguf", shape=Shape(layers=6))) as running:
        yield running


def test_streams_outlive_workers_and_engines(swarm: SplitSwarm) -> None:
    """Of 52 streams, greedy and seeded, each loses a worker or its engine at a random token; none is cut or changed."""
    chance = random.Random(20261124)
    bodies = [chat(number, tokens=_TOKENS) for number in range(_STREAMS)]
    undisturbed, disturbed = list[Heard](), list[Heard]()
    for first in range(0, _STREAMS, _TOGETHER):
        undisturbed += asyncio.run(listen_to_all(swarm.gateway.url, bodies[first : first + _TOGETHER]))
    killed = dict.fromkeys([*swarm.workers, "engine"], 0)
    for first in range(0, _STREAMS, _TOGETHER):
        victim = ("engine", *swarm.workers)[first // _TOGETHER % 3]
        wait = chance.randrange(_TOGETHER, _TOGETHER * _TOKENS * 3 // 4)

        async def disturb(pieces: Callable[[int], Awaitable[None]], victim: str = victim, wait: int = wait) -> None:
            await pieces(wait)
            if victim == "engine":
                swarm.kill_engine()
            else:
                swarm.kill(victim)

        disturbed += asyncio.run(listen_to_all(swarm.gateway.url, bodies[first : first + _TOGETHER], disturb))
        killed[victim] += 1
        if victim != "engine":
            swarm.start(victim)
        swarm.until_held_by("here", *swarm.workers)
    assert min(killed.values()) >= 4
    same_whole(disturbed, undisturbed)


def test_the_last_worker_may_die_too(swarm: SplitSwarm) -> None:
    """With both workers killed one after the other the streams wait, and go on when one has come back."""
    bodies = [chat(number, tokens=_TOKENS) for number in range(_TOGETHER)]
    undisturbed = asyncio.run(listen_to_all(swarm.gateway.url, bodies))

    async def disturb(pieces: Callable[[int], Awaitable[None]]) -> None:
        await pieces(40)
        swarm.kill("one")
        await pieces(40)
        swarm.kill("two")
        await asyncio.sleep(1)
        await asyncio.to_thread(swarm.start, "two")

    same_whole(asyncio.run(listen_to_all(swarm.gateway.url, bodies, disturb)), undisturbed)
    swarm.start("one")
    swarm.until_held_by("here", "one", "two")


def test_the_real_model_outlives_them_as_well(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A worker, then the engine, then the other worker are killed under six streams of a real, quantized model."""
    folder = tmp_path_factory.mktemp("real")
    bodies = [chat(number, tokens=40) for number in range(6)]
    with split_swarm(folder, find_model(None)) as swarm:
        undisturbed = asyncio.run(listen_to_all(swarm.gateway.url, bodies))

        async def disturb(pieces: Callable[[int], Awaitable[None]]) -> None:
            await pieces(25)
            swarm.kill("one")
            await pieces(50)
            swarm.kill_engine()
            await pieces(50)
            swarm.kill("two")
            await asyncio.to_thread(swarm.start, "one")

        same_whole(asyncio.run(listen_to_all(swarm.gateway.url, bodies, disturb, seconds=120)), undisturbed)
