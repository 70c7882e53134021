"""How long a stream stands still when whoever writes it is killed."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from time import perf_counter

from sidebyside.client import chat_body, talk
from sidebyside.contenders import Contender
from sidebyside.figures import gaps
from sidebyside.prompts import question


async def measure(contender: Contender, victim: Callable[[], int], seed: str, *, tokens: int = 60) -> float:
    """Return the longest wait between two pieces of a stream, in seconds, after *victim*'s process was killed in it."""
    spoken = await talk(contender.port, chat_body(question(seed), max_tokens=tokens))
    await spoken.pieces(tokens // 3)
    killed = perf_counter()
    os.kill(victim(), signal.SIGKILL)
    await spoken.end()
    if spoken.reader.usage is None or spoken.reader.usage.completion_tokens != tokens:
        raise RuntimeError(f"the stream has {spoken.reader.usage}, expected {tokens} tokens")
    return max(gaps(spoken.moments, killed, spoken.ended))


async def until_ready(look: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait until *look*, which may block, returns True.

    Raises:
        TimeoutError: it did not in time.

    """
    async with asyncio.timeout(seconds):
        while not await asyncio.to_thread(look):  # noqa: ASYNC110 - of another process: nothing to wait on
            await asyncio.sleep(0.1)
