from __future__ import annotations

from contextlib import AbstractAsyncContextManager, suppress

import anyio
import pytest
from anyio.abc import SocketStream
from swarmgate.api import Endpoint
from swarmgate.testing.streams import a_greeter, a_server, converse
from swarmgate_backend_llamacpp.rpc import pipe
from swarmgate_backend_llamacpp.rpc.pipe import carry, keep_alive

pytestmark = pytest.mark.anyio


class Ends:
    def __init__(self) -> None:
        self.count = 0

    def note(self) -> None:
        self.count += 1


def through(far: Endpoint, ends: Ends) -> AbstractAsyncContextManager[Endpoint]:
    """Hold a pipe to *far*."""

    async def serve(stream: SocketStream) -> None:
        keep_alive(stream)
        async with await anyio.connect_tcp(far.host, far.port) as server:
            await carry(stream, server, near_ended=ends.note)

    return a_server(serve)


async def hear_once(stream: SocketStream) -> None:
    await stream.receive()


async def test_both_directions_are_carried_to_their_ends() -> None:
    """A server that answers after all was heard is heard to the end, and the client's end is told once."""
    ends = Ends()
    async with a_greeter(b"all of it " * 100_000) as far, through(far, ends) as near:
        assert await converse(near, b"x" * 3_000_000) == b"all of it " * 100_000
    assert ends.count == 1


async def test_who_talks_to_a_server_that_has_gone_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """It hears the end at once, and is cut off if it does not go."""
    monkeypatch.setattr(pipe, "_GRACE_SECONDS", 0.1)
    ends = Ends()
    async with (
        a_server(hear_once) as far,
        through(far, ends) as near,
        await anyio.connect_tcp(near.host, near.port) as stream,
    ):
        await stream.send(b"x")
        with anyio.fail_after(10), suppress(anyio.EndOfStream, anyio.BrokenResourceError):
            while True:
                await stream.receive()
        with anyio.fail_after(10), suppress(anyio.BrokenResourceError):
            while True:  # until it can no longer be sent
                await stream.send(b"is anybody there")
                await anyio.sleep(0.01)
    assert ends.count == 1
