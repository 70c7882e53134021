"""What the asynchronous contracts share: waiting for a state, and talking TCP past the subject."""

from __future__ import annotations

import socket
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, suppress
from typing import TypeVar

import anyio
from anyio.abc import SocketAttribute, SocketStream

from swarmgate.api import Endpoint

T = TypeVar("T")
_CHUNK = 1 << 16


async def until(stream: AsyncIterator[T], wanted: Callable[[T], bool]) -> T:
    """Return the first item of *stream* that is as *wanted*; the ones before do not matter."""
    async for item in stream:
        if wanted(item):
            return item
    message = "the stream ended before it showed what was waited for"
    raise AssertionError(message)


@asynccontextmanager
async def a_server(answer: Callable[[SocketStream], Awaitable[None]]) -> AsyncGenerator[Endpoint]:
    """Yield where a TCP server listens on loopback that lets *answer* handle each connection."""

    async def handle(stream: SocketStream) -> None:
        with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError, OSError):  # the other side may just leave
            async with stream:
                await answer(stream)
                await stream.send_eof()

    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, handle)
        port = listener.extra(SocketAttribute.local_port)  # noqa: S610 -- anyio's, not Django's
        yield Endpoint("127.0.0.1", int(port))
        tasks.cancel_scope.cancel()


def an_echo() -> AbstractAsyncContextManager[Endpoint]:
    """Hold a server that sends back what it is sent, and ends its direction after the other has ended."""

    async def echo(stream: SocketStream) -> None:
        async for chunk in stream:
            await stream.send(chunk)

    return a_server(echo)


def a_greeter(greeting: bytes) -> AbstractAsyncContextManager[Endpoint]:
    """Hold a server that hears everything to its end and then sends *greeting*."""

    async def greet(stream: SocketStream) -> None:
        async for _ in stream:
            pass
        await stream.send(greeting)

    return a_server(greet)


async def converse(endpoint: Endpoint, data: bytes) -> bytes:
    """Send *data* to *endpoint*, half-close, and return all that came back."""
    back = bytearray()
    async with await anyio.connect_tcp(endpoint.host, endpoint.port) as stream, anyio.create_task_group() as tasks:

        async def say() -> None:
            for start in range(0, len(data), _CHUNK):
                await stream.send(data[start : start + _CHUNK])
            await stream.send_eof()

        tasks.start_soon(say)
        async for chunk in stream:
            back += chunk
    return bytes(back)


async def answers(endpoint: Endpoint) -> bool:
    """Return whether anything accepts a connection at *endpoint*."""
    try:
        stream = await anyio.connect_tcp(endpoint.host, endpoint.port)
    except OSError:
        return False
    await stream.aclose()
    return True


@contextmanager
def a_closed_port() -> Generator[Endpoint]:
    """Yield an endpoint where nobody listens and, while this is held, nobody can."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused
        yield Endpoint("127.0.0.1", int(held.getsockname()[1]))
