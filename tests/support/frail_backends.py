"""Backends that echo, and do not do so to the end: for what an answer is to bear."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager

import anyio
from swarmgate.chat import Delta, GenerateRequest
from swarmgate.echo import EchoBackend
from swarmgate.errors import EngineError


class Mortal(EchoBackend):
    """Dies once, after its second word; then, or if it *tells* no tokens, nobody can go on."""

    def __init__(self, *, tells: bool = True) -> None:
        super().__init__()
        self.tells = tells
        self.lives = 1

    @asynccontextmanager
    async def generate(self, request: GenerateRequest) -> AsyncGenerator[AsyncIterator[Delta]]:
        async def deltas(said: AsyncIterator[Delta]) -> AsyncGenerator[Delta]:
            words = 0
            async for delta in said:
                yield delta if self.tells else Delta(text=delta.text)
                words += bool(delta.text)
                if self.lives and words == 2:
                    self.lives -= 1
                    raise EngineError("it died")

        async with super().generate(request) as said, aclosing(deltas(said)) as mortal:
            yield mortal


class Slow(EchoBackend):
    """Says nothing until it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.speaks = anyio.Event()

    @asynccontextmanager
    async def generate(self, request: GenerateRequest) -> AsyncGenerator[AsyncIterator[Delta]]:
        await self.speaks.wait()
        async with super().generate(request) as deltas:
            yield deltas
