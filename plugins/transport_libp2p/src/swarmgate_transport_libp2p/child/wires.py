"""Reading and writing libp2p's streams in such ways that the connection below survives it.

A cancelled operation may leave half a frame on the wire, and all streams of the connection are lost with it.  So
nothing here is cancelled: what takes too long is reset, and what waits for it then fails.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

import trio
from swarmgate.api import Unreachable

T = TypeVar("T")


class StreamLost(Exception):
    """A stream or its connection broke, or was reset: what was read so far may not be all."""


async def read_some(stream: Any, most: int) -> bytes:
    """Return up to *most* bytes, and none at the end.

    Raises:
        StreamLost: the stream did not end, but broke.

    """
    from libp2p.network.stream.exceptions import StreamEOF

    try:
        data = bytes(await stream.read(most))
    except StreamEOF:
        data = b""
    except Exception as error:
        raise StreamLost(told(error)) from error
    if not data and _is_lost(stream):
        raise StreamLost("the stream was reset, or its connection is gone")  # the library takes that for an end
    return data


def _is_lost(stream: Any) -> bool:
    closing = getattr(stream.muxed_conn, "event_shutting_down", None)
    gone = stream.muxed_conn.is_closed or (closing is not None and closing.is_set())
    return gone or bool(getattr(stream.muxed_stream, "reset_received", False))


async def read_exactly(stream: Any, size: int) -> bytes:
    """Return *size* bytes.

    Raises:
        StreamLost: it broke, or ended before.

    """
    data = b""
    while len(data) < size:
        more = await read_some(stream, size - len(data))
        if not more:
            raise StreamLost(f"the stream ended after {len(data)} of {size} bytes")
        data += more
    return data


async def write_all(stream: Any, data: bytes) -> None:
    """Write *data*.

    Raises:
        StreamLost: the stream is broken.

    """
    try:
        await stream.write(data)
    except Exception as error:
        raise StreamLost(told(error)) from error


async def end(stream: Any) -> None:
    """Say that nothing more is written."""
    with suppress(Exception):
        await stream.close_write()


async def reset(stream: Any) -> None:
    """Break *stream* off, whatever state it is in."""
    with trio.CancelScope(shield=True), suppress(Exception):
        await stream.reset()


@asynccontextmanager
async def or_reset(tasks: trio.Nursery, stream: Any, seconds: float) -> AsyncGenerator[None]:
    """Reset *stream* unless the block is left within *seconds*; the block sees a lost stream then."""
    timer = trio.CancelScope()

    async def watch() -> None:
        with timer:
            await trio.sleep(seconds)
        if not timer.cancelled_caught:
            await reset(stream)

    tasks.start_soon(watch)
    try:
        yield
    finally:
        timer.cancel()


async def within(
    tasks: trio.Nursery,
    seconds: float,
    work: Callable[[], Awaitable[T]],
    *,
    late: Callable[[T], Awaitable[None]] | None = None,
) -> T:
    """Return what *work* gives; it runs in a task of its own, which is not cancelled and may end after us.

    *late* is called with what it gave then.

    Raises:
        Unreachable: *work* took longer than *seconds*, or failed.

    """
    done, left, came = trio.Event(), False, list[T]()
    failure: list[Exception] = []

    async def run() -> None:
        try:
            came.append(await work())
        except Exception as error:  # noqa: BLE001  # whatever the library raises
            failure.append(error)
        done.set()
        if left and came and late is not None:
            await late(came[0])

    tasks.start_soon(run)
    try:
        with trio.move_on_after(seconds):
            await done.wait()
    finally:
        left = not done.is_set()
    if failure:
        raise Unreachable(told(failure[0])) from failure[0]
    if not came:
        raise Unreachable(f"no answer within {seconds:g} s")
    return came[0]


def told(error: BaseException) -> str:
    """Return what *error* says, and what it comes from."""
    said: list[str] = []
    at: BaseException | None = error
    while at is not None and len(said) < 3:  # noqa: PLR2004  # deeper ones are the library's own affairs
        text = str(at).strip().partition("\n")[0]
        if text and text not in said:
            said.append(text)
        at = at.__cause__
    return ": ".join(said) or type(error).__name__
