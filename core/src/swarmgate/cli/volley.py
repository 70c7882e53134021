"""Asks the running gateway many things at once, and notes when each piece of each answer came."""

from __future__ import annotations

import random
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import aiohttp
import anyio
import msgspec

from swarmgate.cli.answers import CHATS, Chunk
from swarmgate.cli.figures import Shot
from swarmgate.cli.running import Said, address_of, ask, headers_for, reason_of
from swarmgate.config.settings import Settings
from swarmgate.errors import WireError
from swarmgate.sse import EventReader

_OK = 200
_DONE = b"[DONE]"
_CONNECT_SECONDS, _SILENT_SECONDS = 10.0, 120.0
_WORDS = (
    "river",
    "stone",
    "window",
    "garden",
    "yellow",
    "market",
    "seven",
    "winter",
    "paper",
    "letter",
    "music",
    "engine",
    "silver",
    "forest",
    "bridge",
    "morning",
    "captain",
    "ladder",
    "ocean",
    "village",
    "orange",
    "kitchen",
    "mirror",
    "thunder",
    "basket",
    "copper",
    "planet",
    "harbour",
    "feather",
    "candle",
)
#: Tokens of such a word, where the gateway cannot say.
_USUAL_TOKENS = 1.5


class _Tokens(msgspec.Struct):
    tokens: list[Any]


@dataclass(frozen=True, slots=True)
class Volley:
    """What is asked: *requests* answers of *model* (or as many as begin within *seconds*), *concurrency* at a time."""

    model: str
    concurrency: int
    requests: int | None
    seconds: float | None
    prompt_tokens: int
    max_tokens: int


def prompts(wanted: int, per_word: float, dice: random.Random) -> Iterator[str]:
    """Yield prompts of about *wanted* tokens without end; none begins as another does, so that no cache answers."""
    words = max(round(wanted / per_word), 1)
    while True:
        yield " ".join(dice.choices(_WORDS, k=words))


def tokens_per_word(settings: Settings, model: str) -> float:
    """Return how many tokens one of the prompts' words has, as the gateway counts."""
    said = ask(settings, "/tokenize", {"model": model, "content": " ".join(_WORDS)})
    try:
        found = msgspec.json.decode(said.body, type=_Tokens) if said.status == _OK else None
    except msgspec.MsgspecError:
        found = None
    return max(len(found.tokens) / len(_WORDS), 0.1) if found is not None else _USUAL_TOKENS


async def fire(
    settings: Settings, volley: Volley, texts: Iterator[str], shots: list[Shot], *, told: Callable[[], None]
) -> None:
    """Ask, and append to *shots* what came of each request as it ends; *told* is called then."""
    ends = time.perf_counter() + volley.seconds if volley.seconds is not None else None
    left = iter(range(volley.requests)) if volley.requests is not None else iter(int, 1)
    limits = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS, sock_read=_SILENT_SECONDS)
    async with aiohttp.ClientSession(
        address_of(settings),
        headers=headers_for(settings, body=True),
        timeout=limits,
        connector=aiohttp.TCPConnector(limit=0),
        trust_env=False,  # it is this machine
    ) as session:

        async def work() -> None:
            while (ends is None or time.perf_counter() < ends) and next(left, None) is not None:
                shots.append(await _shoot(session, volley, next(texts)))
                told()

        async with anyio.create_task_group() as tasks:
            for _ in range(volley.concurrency):
                tasks.start_soon(work)


async def _shoot(session: aiohttp.ClientSession, volley: Volley, text: str) -> Shot:
    order = {
        "model": volley.model,
        "messages": [{"role": "user", "content": text}],
        "max_tokens": volley.max_tokens,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    shot = Shot(began=time.perf_counter())
    try:
        async with session.post(CHATS, data=msgspec.json.encode(order)) as response:
            if response.status == _OK:
                shot.worker = response.headers.get("X-Gateway-Worker", "")
                await _take(shot, response.content.iter_any())
            else:
                shot.error = reason_of(Said(str(response.url), response.status, await response.read()))
    except (aiohttp.ClientError, OSError, TimeoutError, WireError) as error:
        shot.error = str(error) or type(error).__name__
    shot.ended = time.perf_counter()
    return shot


async def _take(shot: Shot, body: AsyncIterator[bytes]) -> None:
    reader, done = EventReader(), False
    async for piece in body:
        at, wrote = time.perf_counter(), False
        for data in reader.feed(piece):
            done = done or data == _DONE
            chunk = None if data == _DONE else msgspec.json.decode(data, type=Chunk)
            if chunk is None:
                continue
            if chunk.error is not None:
                shot.error = chunk.error.message or "the answer broke off"
            if chunk.usage is not None:
                shot.prompt_tokens, shot.tokens = chunk.usage.prompt_tokens, chunk.usage.completion_tokens
            wrote = wrote or any(choice.delta.content or choice.delta.reasoning_content for choice in chunk.choices)
        if wrote:
            shot.pieces.append(at)
    if not done and not shot.error:
        shot.error = "the answer broke off"
