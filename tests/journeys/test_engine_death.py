"""The engine is killed while it writes, and every stream goes on with the text it would have had."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections.abc import Awaitable, Callable, Iterator

import httpx
import pytest
from listeners import chat, listen_to_all, same_whole
from live_gateway import LiveGateway, live_gateway
from tinygguf import write_llama

pytestmark = [pytest.mark.engine, pytest.mark.journey]

_BODIES = [chat(number) for number in range(12)]


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveGateway]:
    """Run a gateway over a tiny model that never ends by itself."""
    folder = tmp_path_factory.mktemp("death")
    model = write_llama(folder / "m.gguf")
    backend = {"use": "llamacpp", "model": str(model), "threads": 1, "slots": 4}
    with live_gateway(folder, [backend]) as running:
        yield running


def kill_engine(gateway: LiveGateway) -> None:
    """Kill the gateway's one child."""
    (engine,) = gateway.engines
    os.kill(engine, signal.SIGKILL)


def test_streams_outlive_their_engine(gateway: LiveGateway) -> None:
    """Killed twice at random pieces of a dozen streams: no stream is cut, and each has its undisturbed text."""
    chance = random.Random(20261123)  # any moment will do; the same each time

    async def disturb(pieces: Callable[[int], Awaitable[None]]) -> None:
        for wait in (chance.randrange(40, 400), chance.randrange(150, 600)):
            await pieces(wait)
            kill_engine(gateway)

    undisturbed = asyncio.run(listen_to_all(gateway.url, _BODIES))
    disturbed = asyncio.run(listen_to_all(gateway.url, _BODIES, disturb))
    assert gateway.said().count("was killed by SIGKILL") >= 2
    same_whole(disturbed, undisturbed)


def test_a_whole_answer_outlives_its_engine_too(gateway: LiveGateway) -> None:
    """Without a stream the client waits a little longer and gets the same document."""

    async def ask(kill: bool) -> str:
        async with httpx.AsyncClient(base_url=gateway.url, timeout=60) as client:
            document = {**chat(4), "stream": False, "stream_options": None}
            asked = asyncio.create_task(client.post("/v1/chat/completions", json=document))
            if kill:
                await asyncio.sleep(0.15)
                kill_engine(gateway)
            response = await asked
        assert response.status_code == 200
        return response.json()["choices"][0]["message"]["content"]

    assert asyncio.run(ask(kill=True)) == asyncio.run(ask(kill=False))
