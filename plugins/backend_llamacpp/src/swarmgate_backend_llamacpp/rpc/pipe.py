"""Carries bytes between two sockets, both ways, each to its end.

On the bare sockets: the streams of an event loop copy what they read several times, and weights are
gigabytes.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import suppress

import anyio

#: Most bytes read at once.
CHUNK = 1 << 20
#: How long one who talks to a server that has gone may take to notice, in seconds.
_GRACE_SECONDS = 2.0
_BROKEN = (anyio.BrokenResourceError, anyio.ClosedResourceError, OSError)
#: A machine that vanished without a word is noticed after this long without an answer, in seconds.
_IDLE_SECONDS, _INTERVAL_SECONDS, _PROBES = 10, 5, 3


async def carry(near: socket.socket, far: socket.socket, *, near_ended: Callable[[], None]) -> None:
    """Carry until both have ended; *near_ended* is called when *near* has nothing more to say.

    The end of one direction is passed on, and the other goes on; but what *near* says to a *far* that
    has ended is of interest to nobody for long.  Both sockets must be non-blocking.
    """
    drained = anyio.Event()

    async def back() -> None:
        await _one_way(far, near)
        drained.set()
        await anyio.sleep(_GRACE_SECONDS)
        tasks.cancel_scope.cancel()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(back)
        await _one_way(near, far, near_ended)
        await drained.wait()
        tasks.cancel_scope.cancel()


async def _one_way(source: socket.socket, target: socket.socket, ended: Callable[[], None] = lambda: None) -> None:
    buffer = memoryview(bytearray(CHUNK))
    with suppress(*_BROKEN):  # a side that is gone has ended, too
        while count := await _read(source, buffer):
            await _write(target, buffer[:count])
    ended()
    with suppress(*_BROKEN):
        target.shutdown(socket.SHUT_WR)


async def _read(source: socket.socket, buffer: memoryview) -> int:
    await anyio.lowlevel.checkpoint()  # a fast sender must not keep the others out
    while True:
        try:
            return source.recv_into(buffer)
        except BlockingIOError:
            await anyio.wait_readable(source)


async def _write(target: socket.socket, data: memoryview) -> None:
    while data:
        try:
            data = data[target.send(data) :]
        except BlockingIOError:
            await anyio.wait_writable(target)


async def dial(host: str, port: int, family: socket.AddressFamily = socket.AF_INET) -> socket.socket:
    """Return a non-blocking connection to an address, not a name, of *family*.

    Raises:
        OSError: nobody listens there.

    """
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        await _connect(made, host, port)
    except BaseException:
        made.close()
        raise
    return made


async def _connect(made: socket.socket, host: str, port: int) -> None:
    made.setblocking(False)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with suppress(BlockingIOError):
        made.connect((host, port))
    await anyio.wait_writable(made)
    if error := made.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
        raise OSError(error, "cannot connect")


def prepare(accepted: socket.socket) -> None:
    """Send without delay, and let the kernel find out when the other machine is gone.

    llama.cpp's protocol is silent between answers.
    """
    accepted.setblocking(False)
    accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    accepted.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    settings = (("TCP_KEEPIDLE", _IDLE_SECONDS), ("TCP_KEEPINTVL", _INTERVAL_SECONDS), ("TCP_KEEPCNT", _PROBES))
    for name, value in settings:
        if number := getattr(socket, name, None):
            accepted.setsockopt(socket.IPPROTO_TCP, number, value)
