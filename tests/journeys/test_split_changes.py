"""Workers come and go under a steady load, and nobody who asks notices."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from listeners import Heard, chat, listen
from split_swarm import SplitSwarm, split_swarm
from tinygguf import Shape, write_llama

pytestmark = [pytest.mark.engine, pytest.mark.journey, pytest.mark.timeout(300)]

_CLIENTS = 4


@pytest.fixture
def swarm(tmp_path: Path) -> Iterator[SplitSwarm]:
    """Run a tiny model over one worker, with another in the list that is not there yet."""
    with split_swarm(
        tmp_path, write_llama(tmp_path / "tiny.gguf", shape=Shape(layers=6)), ["one"], idle=["two"]
    ) as running:
        yield running


async def load(swarm: SplitSwarm, enough: asyncio.Event, number: int) -> list[Heard]:
    """Ask the same again and again until there is enough."""
    heard = list[Heard]()
    async with httpx.AsyncClient(base_url=swarm.gateway.url, timeout=60) as client:
        while not enough.is_set():
            heard.append(await listen(client, chat(number, tokens=60)))
    return heard


async def under_load(swarm: SplitSwarm, change: object) -> list[list[Heard]]:
    """Return what each client heard while *change*, which blocks, was going on, and a moment before and after."""
    enough = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        clients = [tasks.create_task(load(swarm, enough, number)) for number in range(_CLIENTS)]
        await asyncio.sleep(1)
        try:
            assert callable(change)
            await asyncio.to_thread(change)
            await asyncio.sleep(1)
        finally:
            enough.set()
    return [client.result() for client in clients]


def test_joining_and_leaving_drops_nothing(swarm: SplitSwarm) -> None:
    """A worker joins, one ends in order, comes back, and one is killed: no request fails, no text changes."""

    def change() -> None:
        swarm.start("two")
        swarm.until_held_by("here", "one", "two")
        swarm.stop("one")
        swarm.until_held_by("here", "two")
        swarm.start("one")
        swarm.until_held_by("here", "one", "two")
        swarm.kill("two")
        swarm.until_held_by("here", "one")

    for heard in asyncio.run(under_load(swarm, change)):
        assert len(heard) > 3
        assert all(each.whole for each in heard), [each for each in heard if not each.whole]
        assert len({each.text for each in heard}) == 1


def test_one_that_comes_and_goes_makes_no_storm(swarm: SplitSwarm) -> None:
    """Started and killed again and again, a worker is taken in less and less readily; answers go on all the while."""

    def flap() -> None:
        for _ in range(6):
            swarm.start("two")
            time.sleep(0.7)
            swarm.kill("two")
            with suppress(TimeoutError):
                swarm.workers["two"].process.wait(5)

    before = swarm.gateway.said().count('"loading.began"')
    for heard in asyncio.run(under_load(swarm, flap)):
        assert all(each.whole for each in heard), [each for each in heard if not each.whole]
    began = swarm.gateway.said().count('"loading.began"') - before
    assert began <= 5, swarm.gateway.said()[-4000:]


def test_with_keep_nobody_is_taken_in_before_somebody_is_lost(tmp_path: Path) -> None:
    """A newcomer stays out until the model has to be loaded anew anyway."""
    model = write_llama(tmp_path / "tiny.gguf", shape=Shape(layers=6))
    with split_swarm(tmp_path, model, ["one"], idle=["two"], on_change="keep") as swarm:
        swarm.start("two")
        swarm.until(lambda: swarm.member("two")["state"] == "usable")
        time.sleep(1.5)
        assert sorted(swarm.holders()) == ["here", "one"]
        swarm.kill("one")
        swarm.until_held_by("here", "two")
