"""What the gateway adds to a stream whose engine costs nothing: beside a bare ASGI application."""

from __future__ import annotations

import asyncio
from statistics import median
from time import perf_counter

import msgspec

from sidebyside.client import chat_body, talk
from sidebyside.contenders import Contender
from sidebyside.figures import Row, both

#: Events in each stream; the message of the request has as many words.
PIECES = 16


class Overhead(msgspec.Struct, frozen=True):
    """Streams finished per second with sixteen at once; milliseconds to the first byte with one."""

    streams_per_second: float
    first_byte_ms: float


async def measure(contender: Contender, seconds: float) -> Overhead:
    """Ask for short streams for *seconds*, sixteen at a time, and then one by one."""
    body = chat_body("word " * PIECES, max_tokens=PIECES, model="echo")
    until = perf_counter() + seconds

    async def ask() -> int:
        count = 0
        while perf_counter() < until:
            await (await talk(contender.port, body)).end()
            count += 1
        return count

    began = perf_counter()
    finished = sum(await asyncio.gather(*(ask() for _ in range(16))))
    rate = finished / (perf_counter() - began)
    waits: list[float] = []
    for _ in range(60):
        spoken = await talk(contender.port, body)
        await spoken.end()
        waits.append(1000 * (spoken.first_byte - spoken.began))
    return Overhead(rate, median(waits))


def rows(ours: list[Overhead], theirs: list[Overhead]) -> list[Row]:
    """Return the rows; *theirs* is the bare application."""
    note = f"{PIECES} events each; theirs: bare ASGI on uvicorn"
    rates = both("streams_per_second", ours, theirs)
    return [
        Row("overhead", "streams of the echo backend, 16 at once", "streams/s", *rates, better="higher", note=note),
        Row("overhead", "first byte, one at a time", "ms", *both("first_byte_ms", ours, theirs), note=note),
    ]
