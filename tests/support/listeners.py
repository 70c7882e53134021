"""Reads many streams of a gateway at once, and notes all that a client can see of each."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

import httpx


@dataclass
class Heard:
    """What a client read of one stream; *longest* is the longest wait between two pieces, in seconds."""

    text: str = ""
    ids: set[str] = field(default_factory=set[str])
    finish: str | None = None
    usage: dict[str, Any] = field(default_factory=dict[str, Any])
    error: Any = None
    done: bool = False
    status: int = 0
    longest: float = 0.0

    @property
    def whole(self) -> bool:
        """Return whether the stream ended as a good one does: one id, a finish, a usage, and ``[DONE]``."""
        return self.done and self.error is None and self.finish is not None and len(self.ids) == 1 and bool(self.usage)


def chat(number: int, *, model: str = "m", tokens: int = 150) -> dict[str, Any]:
    """Return a request for a stream; odd ones are sampled, with a seed of their own, even ones greedy."""
    return {
        "model": model,
        "messages": [{"role": "user", "content": f"Tell me about number {number}."}],
        "max_tokens": tokens,
        "temperature": 1.2 if number % 2 else 0,
        "seed": number,
        "stream": True,
        "stream_options": {"include_usage": True},
        "ignore_eos": True,
    }


async def listen(client: httpx.AsyncClient, body: dict[str, Any], on_piece: Callable[[], None] = lambda: None) -> Heard:
    """Read the stream that *body* asks for to its end; *on_piece* is called for each event."""
    heard, last = Heard(), monotonic()
    async with client.stream("POST", "/v1/chat/completions", json=body) as response:
        heard.status = response.status_code
        if heard.status != 200:
            heard.error = (await response.aread()).decode(errors="replace")
            return heard
        async for line in response.aiter_lines():
            if not line.startswith("data: "):
                continue
            assert not heard.done, "nothing comes after [DONE]"
            if line == "data: [DONE]":
                heard.done = True
                continue
            now = monotonic()
            heard.longest, last = max(heard.longest, now - last), now
            _note(heard, json.loads(line.removeprefix("data: ")))
            on_piece()
    return heard


def _note(heard: Heard, chunk: dict[str, Any]) -> None:
    if "error" in chunk:
        heard.error = chunk["error"]
        return
    assert "gateway" not in chunk, "what gateways tell one another is not for clients"
    heard.ids.add(chunk["id"])
    heard.usage = chunk.get("usage") or heard.usage
    for choice in chunk["choices"]:
        heard.text += choice["delta"].get("content") or ""
        heard.finish = choice["finish_reason"] or heard.finish


async def listen_to_all(
    url: str,
    bodies: Sequence[dict[str, Any]],
    disturb: Callable[[Callable[[int], Awaitable[None]]], Awaitable[None]] | None = None,
    *,
    seconds: float = 120.0,
) -> list[Heard]:
    """Read all streams at once; meanwhile *disturb* may do harm, told how to wait until so many pieces have come."""
    come = 0
    news = asyncio.Event()

    def count() -> None:
        nonlocal come, news
        come += 1
        news.set()

    async def pieces(wanted: int) -> None:
        nonlocal news
        until = come + wanted
        while come < until:
            news = asyncio.Event()
            await news.wait()

    async with httpx.AsyncClient(base_url=url, timeout=seconds) as client:
        streams = [asyncio.create_task(listen(client, body, count)) for body in bodies]
        if disturb is not None:
            await asyncio.wait_for(disturb(pieces), seconds)
        return await asyncio.gather(*streams)


def same_whole(heard: Sequence[Heard], undisturbed: Sequence[Heard]) -> None:
    """Make sure that every stream is whole and has the text and usage of its undisturbed twin."""
    for after, before in zip(heard, undisturbed, strict=True):
        assert before.whole, before
        assert after.whole, after
        same = next((at for at, (a, b) in enumerate(zip(after.text, before.text, strict=False)) if a != b), None)
        assert after.text == before.text, f"forked at {same}: {after.text[same:]!r} not {before.text[same:]!r}"
        assert after.finish == before.finish, (after, before)
        assert after.usage["completion_tokens"] == before.usage["completion_tokens"]
        assert after.usage["prompt_tokens"] == before.usage["prompt_tokens"]
