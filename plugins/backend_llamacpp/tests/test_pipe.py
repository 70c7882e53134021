from __future__ import annotations

import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

import anyio
import pytest
from anyio.abc import SocketStream
from swarmgate.api import Endpoint
from swarmgate.testing.streams import a_closed_port, a_greeter, a_server, converse
from swarmgate_backend_llamacpp.rpc import pipe
from swarmgate_backend_llamacpp.rpc.pipe import carry, dial, prepare

pytestmark = pytest.mark.anyio


class Ends:
    def __init__(self) -> None:
        self.count = 0

    def note(self) -> None:
        self.count += 1


@asynccontextmanager
async def through(far: Endpoint, ends: Ends) -> AsyncGenerator[Endpoint]:
    """Hold a pipe to *far*, for one connection."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)

        async def serve() -> None:
            await anyio.wait_readable(listening)
            near, _ = listening.accept()
            with near, await dial(far.host, far.port) as server:
                prepare(near)
                await carry(near, server, near_ended=ends.note)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(serve)
            yield Endpoint("127.0.0.1", listening.getsockname()[1])


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


async def test_nobody_to_connect_to_is_an_error() -> None:
    """At once, as the system says it."""
    with a_closed_port() as endpoint, pytest.raises(ConnectionRefusedError):
        await dial(endpoint.host, endpoint.port)
