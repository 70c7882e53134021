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
    rate = await finished(contender.port, body, seconds, together=16)
    return Overhead(rate, await first_byte_ms(contender.port, body, times=60))


async def finished(port: int, body: bytes, seconds: float, *, together: int) -> float:
    """Return how many answers a second come to an end, asking for *together* at once in a closed loop."""
    until = perf_counter() + seconds

    async def ask() -> int:
        count = 0
        while perf_counter() < until:
            await (await talk(port, body)).end()
            count += 1
        return count

    began = perf_counter()
    return sum(await asyncio.gather(*(ask() for _ in range(together)))) / (perf_counter() - began)


async def first_byte_ms(port: int, body: bytes, *, times: int) -> float:
    """Return the median of the milliseconds to the first byte, asking one by one."""
    waits: list[float] = []
    for _ in range(times):
        spoken = await talk(port, body)
        await spoken.end()
        waits.append(1000 * (spoken.first_byte - spoken.began))
    return median(waits)


def rows(ours: list[Overhead], theirs: list[Overhead]) -> list[Row]:
    """Return the rows; *theirs* is the bare application."""
    note = f"{PIECES} events each; theirs: bare ASGI on uvicorn"
    rates = both("streams_per_second", ours, theirs)
    return [
        Row("overhead", "streams of the echo backend, 16 at once", "streams/s", *rates, better="higher", note=note),
        Row("overhead", "first byte, one at a time", "ms", *both("first_byte_ms", ours, theirs), note=note),
    ]
