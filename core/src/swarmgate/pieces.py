"""Pieces fetched by a task of their own, and iterated wherever the caller likes."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Generic, Self, TypeVar

import anyio

from swarmgate.background import background

T = TypeVar("T")
#: Pieces fetched ahead of a slow reader; after that the fetching waits.
_AHEAD = 64


class Pieces(AsyncIterator[T], Generic[T]):
    """What has been fetched so far; ends, or raises, as the fetching did."""

    def __init__(self) -> None:
        self._send, self._receive = anyio.create_memory_object_stream[T](_AHEAD)
        self._first: list[T] = []
        self._error: Exception | None = None

    def __repr__(self) -> str:
        return f"<Pieces {self._receive.statistics().current_buffer_used} waiting>"

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        if self._first:
            return self._first.pop()
        try:
            return await self._receive.receive()
        except anyio.EndOfStream:
            if self._error is not None:
                raise self._error from None
            raise StopAsyncIteration from None

    async def first(self) -> None:
        """Wait for the first piece without taking it."""
        self._first.append(await anext(self))

    async def fill(self, fetch: Callable[[Callable[[T], Awaitable[None]]], Awaitable[None]]) -> None:
        """Run *fetch* to its end, and keep its error for whoever iterates."""
        try:
            await fetch(self._send.send)
        except Exception as error:  # noqa: BLE001  # whoever iterates shall have it
            self._error = error
        finally:
            self._send.close()

    def close(self) -> None:
        """Let go of what was not iterated."""
        self._send.close()
        self._receive.close()


@asynccontextmanager
async def fetched(fetch: Callable[[Callable[[T], Awaitable[None]]], Awaitable[None]]) -> AsyncGenerator[Pieces[T]]:
    """Run *fetch*, which is given what to send its pieces with, until it is done or the context is left."""
    pieces = Pieces[T]()
    try:
        async with background() as tasks:
            tasks.start_soon(pieces.fill, fetch)
            yield pieces
    finally:
        pieces.close()
