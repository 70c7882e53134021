"""The engine is killed while it writes, and every stream goes on with the text it would have had."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from live_gateway import LiveGateway, live_gateway
from tinygguf import write_llama

pytestmark = [pytest.mark.engine, pytest.mark.journey]

_TOKENS = 150
_REQUESTS = 12


@dataclass
class Heard:
    """What a client read of one stream."""

    text: str = ""
    ids: set[str] = field(default_factory=set[str])
    finish: str | None = None
    usage: dict[str, Any] = field(default_factory=dict[str, Any])
    done: bool = False


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveGateway]:
    """Run a gateway over a tiny model that never ends by itself."""
    folder = tmp_path_factory.mktemp("death")
    model = write_llama(folder / "m.gguf")
    backend = {"use": "llamacpp", "model": str(model), "threads": 1, "slots": 4}
    with live_gateway(folder, [backend]) as running:
        yield running


def engine_of(gateway: LiveGateway) -> int | None:
    """Return the process of the gateway's one child, None while there is none."""
    pid = gateway.process.pid
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int(children[0]) if children else None


def body(number: int) -> dict[str, Any]:
    """Return a request; every other one is sampled, with a seed of its own."""
    return {
        "model": "m",
        "messages": [{"role": "user", "content": f"Tell me about number {number}."}],
        "max_tokens": _TOKENS,
        "temperature": 1.2 if number % 2 else 0,
        "seed": number,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


async def listen(client: httpx.AsyncClient, number: int, pieces: asyncio.Queue[int]) -> Heard:
    """Read one stream to its end, saying of each piece that it has come."""
    heard = Heard()
    async with client.stream("POST", "/v1/chat/completions", json=body(number)) as response:
        assert response.status_code == 200
        async for line in response.aiter_lines():
            if not line.startswith("data: "):
                continue
            if line == "data: [DONE]":
                heard.done = True
                continue
            chunk = json.loads(line.removeprefix("data: "))
            assert "error" not in chunk, chunk
            heard.ids.add(chunk["id"])
            heard.usage = chunk["usage"] or heard.usage
            for choice in chunk["choices"]:
                heard.text += choice["delta"].get("content") or ""
                heard.finish = choice["finish_reason"] or heard.finish
            pieces.put_nowait(number)
    return heard


async def listen_to_all(gateway: LiveGateway, kills: list[int]) -> list[Heard]:
    """Read all streams at once; kill the engine after each of *kills* pieces more."""
    pieces = asyncio.Queue[int]()
    async with httpx.AsyncClient(base_url=gateway.url, timeout=60) as client:
        streams = [asyncio.create_task(listen(client, number, pieces)) for number in range(_REQUESTS)]
        for count in kills:
            for _ in range(count):
                await asyncio.wait_for(pieces.get(), 60)
            engine = engine_of(gateway)
            assert engine is not None
            os.kill(engine, signal.SIGKILL)
        return await asyncio.gather(*streams)


def test_streams_outlive_their_engine(gateway: LiveGateway) -> None:
    """Killed twice at random pieces of a dozen streams: no stream is cut, and each has its undisturbed text."""
    undisturbed = asyncio.run(listen_to_all(gateway, []))
    chance = random.Random(20261123)  # any moment will do; the same each time
    disturbed = asyncio.run(listen_to_all(gateway, [chance.randrange(40, 400), chance.randrange(150, 600)]))
    assert gateway.said().count("was killed by SIGKILL") >= 2
    for before, after in zip(undisturbed, disturbed, strict=True):
        assert after.text == before.text
        assert (after.done, after.finish, len(after.ids)) == (True, "length", 1)
        assert after.usage["completion_tokens"] == _TOKENS
        assert after.usage["prompt_tokens"] == before.usage["prompt_tokens"]


def test_a_whole_answer_outlives_its_engine_too(gateway: LiveGateway) -> None:
    """Without a stream the client waits a little longer and gets the same document."""

    async def ask(kill: bool) -> str:
        async with httpx.AsyncClient(base_url=gateway.url, timeout=60) as client:
            document = {**body(4), "stream": False, "stream_options": None}
            asked = asyncio.create_task(client.post("/v1/chat/completions", json=document))
            if kill:
                await asyncio.sleep(0.15)
                engine = engine_of(gateway)
                assert engine is not None
                os.kill(engine, signal.SIGKILL)
            response = await asked
        assert response.status_code == 200
        return response.json()["choices"][0]["message"]["content"]

    assert asyncio.run(ask(kill=True)) == asyncio.run(ask(kill=False))
