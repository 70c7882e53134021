"""Tokens per second at several numbers of chats at once."""

from __future__ import annotations

import asyncio

from sidebyside.client import chat_body, talk
from sidebyside.contenders import Contender
from sidebyside.figures import Row
from sidebyside.prompts import question

CONCURRENCIES = (1, 4, 8)


async def measure(contender: Contender, concurrency: int, tokens: int, seed: str) -> float:
    """Let *concurrency* chats of *tokens* tokens begin together; return all their tokens over the time to the last."""
    bodies = [chat_body(question(f"{seed}/{number}"), max_tokens=tokens) for number in range(concurrency)]
    talks = await asyncio.gather(*(talk(contender.port, body) for body in bodies))
    for spoken in talks:
        await spoken.end()
    written = 0
    for spoken in talks:
        if spoken.reader.usage is None or spoken.reader.usage.completion_tokens != tokens:
            raise RuntimeError(f"{contender.name} was asked for {tokens} tokens and reports {spoken.reader.usage}")
        written += spoken.reader.usage.completion_tokens
    await contender.settle()
    return written / (max(spoken.ended for spoken in talks) - min(spoken.began for spoken in talks))


def row(concurrency: int, ours: list[float], theirs: list[float], *, note: str = "") -> Row:
    """Return the row of one concurrency."""
    what = f"{concurrency} chat{'s' if concurrency > 1 else ''} at once"
    return Row("throughput", what, "tokens/s", tuple(ours), tuple(theirs), better="higher", aim=0.95, note=note)
