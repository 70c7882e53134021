from __future__ import annotations

import socket
import struct
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from libp2p_streams import Stream, a_pair
from swarmgate.api import Unreachable
from swarmgate_transport_libp2p.child.splice import Splice

pytestmark = [pytest.mark.swarm, pytest.mark.usefixtures("imported")]


@asynccontextmanager
async def spliced(
    first: Callable[[], Awaitable[None]] | None = None,
) -> AsyncGenerator[tuple[trio.SocketStream, Stream, Splice, trio.Nursery]]:
    """Yield a TCP connection and a stream that are joined, what joins them, and a nursery."""
    near, far = a_pair()
    async with trio.open_nursery() as tasks:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        async with listener:
            client = await trio.open_tcp_stream("127.0.0.1", listener.socket.getsockname()[1])
            local = await listener.accept()
        splice = Splice(local, near, first)
        tasks.start_soon(splice.run, tasks)
        async with client:
            with trio.fail_after(5):
                yield client, far, splice, tasks
        tasks.cancel_scope.cancel()


def test_bytes_go_both_ways_and_ends_too() -> None:
    """After one direction has ended the other goes on, to its own end."""

    async def test() -> None:
        async with spliced() as (client, far, _, _):
            await client.send_all(b"question")
            await client.send_eof()
            assert await far.read(100) == b"question"
            await far.write(b"answer")
            await far.close_write()
            assert await client.receive_some() == b"answer"
            assert await client.receive_some() == b""

    trio.run(test)


def test_a_reset_here_is_a_reset_there() -> None:
    """A client that breaks off is not taken for one that has said all."""

    async def test() -> None:
        async with spliced() as (client, far, _, _):
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.socket.close()
            while not far.reset_received:  # noqa: ASYNC110  # the stream has no event for it
                await trio.sleep(0.01)

    trio.run(test)


def test_a_reset_there_is_a_reset_here() -> None:
    """A peer that breaks off is not taken for one that has said all."""

    async def test() -> None:
        async with spliced() as (client, far, _, _):
            await far.write(b"half")
            assert await client.receive_some() == b"half"
            await far.reset()
            with pytest.raises(trio.BrokenResourceError):
                await client.receive_some()

    trio.run(test)


def test_a_refusal_is_a_reset() -> None:
    """Where the peer says no before anything else, the client sees no empty answer."""

    async def refuse() -> None:
        raise Unreachable("it does not offer that")

    async def test() -> None:
        async with spliced(refuse) as (client, _, _, _):
            with pytest.raises(trio.BrokenResourceError):
                await client.receive_some()

    trio.run(test)


def test_breaking_off_resets_both() -> None:
    """Who leaves a path breaks off what goes through it, once."""

    async def test() -> None:
        async with spliced() as (client, far, splice, _):
            await client.send_all(b"x")
            assert await far.read(10) == b"x"
            await splice.break_off()
            await splice.break_off()
            with pytest.raises(trio.BrokenResourceError):
                await client.receive_some()
            assert far.reset_received

    trio.run(test)


def test_nothing_is_gathered() -> None:
    """As long as the peer does not read, no more is taken from the client than a piece."""

    async def test() -> None:
        async with spliced() as (client, far, _, _):
            blocked: Any = trio.Event()

            async def never(_data: bytes) -> None:
                await blocked.wait()

            assert far.other is not None
            far.other.write = never  # type: ignore[method-assign]
            sent = 0
            with trio.move_on_after(1.0):
                while True:
                    await client.send_all(bytes(65536))
                    sent += 65536
            assert sent < 16 << 20  # the kernel's own buffers

    trio.run(test)
