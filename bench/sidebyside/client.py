"""The one client that measures both sides: raw sockets, one clock, hardly any work per token."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import perf_counter
from typing import Any

import msgspec

from sidebyside.wire import AnswerReader


class Talk(asyncio.Protocol):
    """One streamed chat on a connection of its own, with the moment of every piece."""

    def __init__(self, body: bytes) -> None:
        self.reader = AnswerReader()
        self.began = 0.0
        self.moments: list[float] = []
        self.text: list[str] = []
        self.first_byte = 0.0
        self.ended = 0.0
        self._body = body
        self._waiters: list[tuple[Callable[[], bool], asyncio.Future[None]]] = []
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the request."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - for the type checker
        self._transport = transport
        transport.write(
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
            b"Connection: close\r\nContent-Length: %d\r\n\r\n%b" % (len(self._body), self._body)
        )

    def data_received(self, data: bytes) -> None:
        """Note what came, and when."""
        now = perf_counter()
        self.first_byte = self.first_byte or now
        for piece in self.reader.feed(data):
            self.moments.append(now)
            self.text.append(piece)
        if self.reader.done:
            self._end()
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        """Note the end."""
        self._end()
        self._wake()

    async def pieces(self, count: int) -> None:
        """Wait for *count* pieces of text.

        Raises:
            RuntimeError: the stream ended before, or failed.

        """
        await self._until(lambda: len(self.moments) >= count)
        if len(self.moments) < count:
            raise RuntimeError(f"the stream ended after {len(self.moments)} pieces: {self.reader.failure}")

    async def end(self) -> None:
        """Wait for the end of the stream.

        Raises:
            RuntimeError: it failed.

        """
        await self._until(lambda: self.ended > 0)
        if self.reader.failure or not self.reader.done:
            raise RuntimeError(f"the stream failed with status {self.reader.status}: {self.reader.failure}")

    def hang_up(self) -> None:
        """Close the connection without waiting for the rest."""
        if self._transport is not None:
            self._transport.abort()

    @property
    def wait(self) -> float:
        """Seconds from the request to the first piece of text."""
        return self.moments[0] - self.began

    async def _until(self, condition: Callable[[], bool]) -> None:
        if not condition() and not self.ended:
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.append((condition, waiter))
            await waiter

    def _end(self) -> None:
        self.ended = self.ended or perf_counter()

    def _wake(self) -> None:
        for entry in [entry for entry in self._waiters if entry[0]() or self.ended]:
            self._waiters.remove(entry)
            if not entry[1].done():
                entry[1].set_result(None)


def chat_body(user: str, *, system: str = "", max_tokens: int, model: str = "model", **more: Any) -> bytes:
    """Return the JSON of a greedy streamed chat that goes on for exactly *max_tokens* tokens."""
    messages = [{"role": "system", "content": system}] if system else []
    messages.append({"role": "user", "content": user})
    fixed = {"stream": True, "stream_options": {"include_usage": True}, "temperature": 0, "ignore_eos": True}
    return msgspec.json.encode({"model": model, "messages": messages, "max_tokens": max_tokens, **fixed, **more})


async def talk(port: int, body: bytes) -> Talk:
    """Begin a chat with the server on loopback *port*; its clock starts before the connection is made."""
    spoken = Talk(body)
    spoken.began = perf_counter()
    await asyncio.get_running_loop().create_connection(lambda: spoken, "127.0.0.1", port)
    return spoken
