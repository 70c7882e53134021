"""One connection's bytes, carried both ways between a TCP socket and a libp2p stream.

Half-close passes through, and what broke off is never shown as an end: a reset here is a reset there.  Nothing is
gathered on the way: who does not read holds up who writes.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import trio
from swarmgate.api import Unreachable

from swarmgate_transport_libp2p.child import wires

#: Bytes at a time; what is under way is at most a few of these for each connection.
_CHUNK = 1 << 16
#: Closing a socket sends a reset with the first of these options set, also if the kernel does it for a killed process.
_BREAKING, _ENDING = struct.pack("ii", 1, 0), struct.pack("ii", 0, 0)
_LOST = (trio.BrokenResourceError, trio.ClosedResourceError, wires.StreamLost, Unreachable)


class Splice:
    """Joins *local* and *stream*; *first* is awaited before anything is read from the stream."""

    def __init__(
        self, local: trio.SocketStream, stream: Any, first: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        self._local, self._stream, self._first = local, stream, first
        self._broken = False
        self._down = trio.Event()

    async def run(self, tasks: trio.Nursery) -> None:
        """Carry bytes until both ends have ended, or one has broken."""
        _linger(self._local, _BREAKING)  # should this process die, that must not look like an end
        tasks.start_soon(self._from_stream)
        try:
            await self._to_stream()
            await self._down.wait()
        except _LOST:
            await self.break_off()
        except trio.Cancelled:  # all of the process ends
            reset(self._local)
            raise
        if not self._broken:
            close(self._local)
            with suppress(Exception):
                await self._stream.close()

    async def break_off(self) -> None:
        """Reset both ends."""
        if self._broken:
            return
        self._broken = True
        reset(self._local)
        self._down.set()
        await wires.reset(self._stream)

    async def _to_stream(self) -> None:
        while data := await self._local.receive_some(_CHUNK):
            await wires.write_all(self._stream, bytes(data))
        await wires.end(self._stream)

    async def _from_stream(self) -> None:
        try:
            if self._first is not None:
                await self._first()
            while data := await wires.read_some(self._stream, _CHUNK):
                await self._local.send_all(data)
            await self._local.send_eof()
        except _LOST:
            await self.break_off()
        self._down.set()


def close(local: trio.SocketStream) -> None:
    """Close a TCP connection both of whose directions have ended."""
    _linger(local, _ENDING)
    local.socket.close()


def reset(local: trio.SocketStream) -> None:
    """Close a TCP connection so that the other end sees a reset."""
    _linger(local, _BREAKING)
    local.socket.close()


def _linger(local: trio.SocketStream, how: bytes) -> None:
    with suppress(OSError):
        local.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, how)
