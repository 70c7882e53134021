"""Carries bytes between two connections, both ways, each to its end."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import suppress

import anyio
from anyio.abc import SocketAttribute, SocketStream

#: Most bytes read at once.
CHUNK = 1 << 20
#: How long one who talks to a server that has gone may take to notice, in seconds.
_GRACE_SECONDS = 2.0
_BROKEN = (anyio.BrokenResourceError, anyio.ClosedResourceError, OSError)
#: A machine that vanished without a word is noticed after this long without an answer, in seconds.
_IDLE_SECONDS, _INTERVAL_SECONDS, _PROBES = 10, 5, 3


async def carry(near: SocketStream, far: SocketStream, *, near_ended: Callable[[], None]) -> None:
    """Carry until both have ended; *near_ended* is called when *near* has nothing more to say.

    The end of one direction is passed on, and the other goes on; but what *near* says to a *far* that
    has ended is of interest to nobody for long.
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


async def _one_way(source: SocketStream, target: SocketStream, ended: Callable[[], None] = lambda: None) -> None:
    try:
        with suppress(anyio.EndOfStream):
            while True:
                await target.send(await source.receive(CHUNK))
    except _BROKEN:
        pass  # a side that is gone has ended, too
    ended()
    with suppress(*_BROKEN):
        await target.send_eof()


def keep_alive(stream: SocketStream) -> None:
    """Let the kernel find out when the other machine is gone: llama.cpp's protocol is silent between answers."""
    raw: socket.socket = stream.extra(SocketAttribute.raw_socket)  # noqa: S610  # anyio's, not Django's
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    settings = (("TCP_KEEPIDLE", _IDLE_SECONDS), ("TCP_KEEPINTVL", _INTERVAL_SECONDS), ("TCP_KEEPCNT", _PROBES))
    for name, value in settings:
        if number := getattr(socket, name, None):
            raw.setsockopt(socket.IPPROTO_TCP, number, value)
