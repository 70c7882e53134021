"""Pieces fetched by a task of their own, and iterated wherever the caller likes."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Generic, Self, TypeVar

import anyio
from anyio.abc import TaskGroup

from swarmgate.background import background
from swarmgate.errors import EngineError

T = TypeVar("T")
#: Pieces fetched ahead of a slow reader; after that the fetching waits.
_AHEAD = 64


class Pieces(AsyncIterator[T], Generic[T]):
    """What has been fetched so far; ends, or raises, as the fetching did.

    Neither side waits for the other while there is something to take and room to put it: a hand-over per piece
    would cost more than all else that is done for one.
    """

    def __init__(self) -> None:
        self._pieces: deque[T] = deque()
        self._news: anyio.Event | None = None
        self._room: anyio.Event | None = None
        self._error: Exception | None = None
        self._done = False
        self._tasks: TaskGroup | None = None
        self._shared = False

    def __repr__(self) -> str:
        return f"<Pieces {len(self._pieces)} waiting>"

    @property
    def tasks(self) -> TaskGroup | None:
        """Return where the fetching runs, for what is to be done beside it; it ends when the context is left."""
        self._shared = True
        return self._tasks

    @property
    def working(self) -> bool:
        """Return whether there may be something to cancel."""
        return self._shared or not self._done

    @property
    def done(self) -> bool:
        """Return whether the fetching has ended."""
        return self._done

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        await self._wait()
        if self._pieces:
            return self._take()
        if self._error is not None:
            raise self._error from None
        raise StopAsyncIteration

    def ready(self) -> Iterator[T]:
        """Yield what can be had without waiting."""
        while self._pieces:
            yield self._take()

    async def first(self) -> None:
        """Wait for the first piece without taking it.

        Raises:
            EngineError: there is none.

        """
        await self._wait()
        if not self._pieces:
            raise self._error or EngineError("the answer ended without a piece")

    async def fill(self, fetch: Callable[[Callable[[T], Awaitable[None]]], Awaitable[None]]) -> None:
        """Run *fetch* to its end, and keep its error for whoever iterates."""
        try:
            await fetch(self._put)
        except Exception as error:  # noqa: BLE001  # whoever iterates shall have it
            self._error = error
        finally:
            self._done = True
            self._tell()

    def attend(self, tasks: TaskGroup) -> None:
        """Learn where the fetching runs."""
        self._tasks = tasks

    def _take(self) -> T:
        piece = self._pieces.popleft()
        if self._room is not None:
            self._room.set()
        return piece

    async def _put(self, piece: T) -> None:
        while len(self._pieces) >= _AHEAD:
            self._room = anyio.Event()
            await self._room.wait()
        self._pieces.append(piece)
        self._tell()

    def _tell(self) -> None:
        """Let the reader go on, if it waits."""
        if self._news is not None:
            self._news.set()
            self._news = None

    async def _wait(self) -> None:
        """Return when there is a piece, or will be none."""
        while not self._pieces and not self._done:
            self._news = anyio.Event()
            await self._news.wait()


@asynccontextmanager
async def fetched(fetch: Callable[[Callable[[T], Awaitable[None]]], Awaitable[None]]) -> AsyncGenerator[Pieces[T]]:
    """Run *fetch*, which is given what to send its pieces with, until it is done or the context is left."""
    pieces = Pieces[T]()
    # to cancel what has ended costs as much as several pieces
    async with background(needed=lambda: pieces.working) as tasks:
        pieces.attend(tasks)
        tasks.start_soon(pieces.fill, fetch)
        yield pieces
