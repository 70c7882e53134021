"""The two ends of a measured connection: one takes, makes or echoes bytes as it is told, the other counts the time."""

from __future__ import annotations

import asyncio
import os
import ssl
import struct
from multiprocessing.connection import Connection
from time import perf_counter
from typing import cast

import uvloop

#: What an end is told first: what to do, and with how many bytes.
_ORDER = struct.Struct("!cQ")
TAKE, MAKE, ECHO = b"T", b"M", b"E"
_CHUNK = 1 << 18


class FarEnd(asyncio.BufferedProtocol):
    """Does as its first bytes say."""

    def __init__(self) -> None:
        self._buffer = bytearray(_CHUNK)
        self._order = b""
        self._left = 0
        self._paused = False
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are none by descent

    def get_buffer(self, sizehint: int) -> bytearray:
        """Return where bytes go."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Take bytes, which begin with the order."""
        assert self._transport is not None  # noqa: S101  # it comes first
        data = memoryview(self._buffer)[:nbytes]
        if len(self._order) < _ORDER.size:
            missing = _ORDER.size - len(self._order)
            self._order += bytes(data[:missing])
            data = data[missing:]
            if len(self._order) < _ORDER.size:
                return
            self._left = _ORDER.unpack(self._order)[1]
            if self._order[:1] == MAKE:
                self.resume_writing()
        if self._order[:1] == ECHO:
            self._transport.write(bytes(data))
        elif self._order[:1] == TAKE:
            self._left -= len(data)
            if self._left <= 0:
                self._transport.write(b".")

    def pause_writing(self) -> None:
        """Make no more for now."""
        self._paused = True

    def resume_writing(self) -> None:
        """Make more."""
        assert self._transport is not None  # noqa: S101  # it comes first
        self._paused = False
        while self._order[:1] == MAKE and self._left > 0 and not self._paused:
            self._transport.write(bytes(min(_CHUNK, self._left)))
            self._left -= _CHUNK


class NearEnd(asyncio.BufferedProtocol):
    """Counts what comes, and says when it was enough."""

    def __init__(self) -> None:
        self._buffer = bytearray(_CHUNK)
        self._wanted = 0
        self._enough = asyncio.get_running_loop().create_future()
        self._free = asyncio.Event()
        self._free.set()

    def get_buffer(self, sizehint: int) -> bytearray:
        """Return where bytes go."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Count."""
        self._wanted -= nbytes
        if self._wanted <= 0 and not self._enough.done():
            self._enough.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail whoever waits."""
        if not self._enough.done():
            self._enough.set_exception(exc or EOFError())
            self._enough.exception()  # nobody need be waiting

    def pause_writing(self) -> None:
        """Send no more for now."""
        self._free.clear()

    def resume_writing(self) -> None:
        """Send more."""
        self._free.set()

    def expect(self, count: int) -> asyncio.Future[None]:
        """Return what is done once *count* bytes have come."""
        self._wanted, self._enough = count, asyncio.get_running_loop().create_future()
        return self._enough

    async def free(self) -> None:
        """Wait until there is room to send."""
        await self._free.wait()


async def move(port: int, order: bytes, size: int, context: ssl.SSLContext | None) -> float:
    """Send (`TAKE`) or fetch (`MAKE`) *size* bytes; return how long it took, in seconds, from the first to the last."""
    loop = asyncio.get_running_loop()
    transport, end = await loop.create_connection(NearEnd, "127.0.0.1", port, ssl=context)
    try:
        began = perf_counter()
        done = end.expect(1 if order == TAKE else size)
        transport.write(_ORDER.pack(order, size))
        if order == TAKE:
            chunk = bytes(_CHUNK)
            for _ in range(size // _CHUNK):
                await end.free()
                transport.write(chunk)
        await done
        return perf_counter() - began
    finally:
        transport.abort()


async def trips(port: int, size: int, count: int, context: ssl.SSLContext | None) -> list[float]:
    """Return how long each of *count* round trips of *size* bytes took, in seconds, one after the other."""
    loop = asyncio.get_running_loop()
    transport, end = await loop.create_connection(NearEnd, "127.0.0.1", port, ssl=context)
    found: list[float] = []
    try:
        transport.write(_ORDER.pack(ECHO, 0))
        data = bytes(size)
        for _ in range(count):
            began = perf_counter()
            done = end.expect(size)
            transport.write(data)
            await done
            found.append(perf_counter() - began)
    finally:
        transport.abort()
    return found


def far_end(pipe: Connection, pem: bytes, authority: bytes) -> None:
    """Be the far end, in a process of its own: say the ports, without and with TLS, and serve until killed."""
    uvloop.run(_far_end(pipe, pem, authority))


async def _far_end(pipe: Connection, pem: bytes, authority: bytes) -> None:
    loop = asyncio.get_running_loop()
    plain = await loop.create_server(FarEnd, "127.0.0.1", 0)
    secure = await loop.create_server(FarEnd, "127.0.0.1", 0, ssl=tls_context(pem, authority, server=True))
    pipe.send([int(server.sockets[0].getsockname()[1]) for server in (plain, secure)])
    await asyncio.Event().wait()


def tls_context(pem: bytes, authority: bytes, *, server: bool) -> ssl.SSLContext:
    """Return TLS as the swarm's transport does it: version 1.3, both sides with certificates of one *authority*."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cadata=authority)
    handle = os.memfd_create("key")
    try:
        os.write(handle, pem)
        context.load_cert_chain(f"/proc/self/fd/{handle}")
    finally:
        os.close(handle)
    return context
