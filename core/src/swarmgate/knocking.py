"""Knocks at gateways, to notice within seconds that a path to one leads nowhere any more."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, AsyncIterator, Collection
from contextlib import asynccontextmanager

import anyio
from anyio.abc import SocketStream

from swarmgate.errors import Unreachable
from swarmgate.nouns import GATEWAY, Endpoint, Service

#: What is asked of a gateway; any answer that is HTTP will do, for other servers may stand on a list of nodes, too.
_KNOCK = b"HEAD /livez HTTP/1.1\r\nHost: gateway\r\nUser-Agent: swarmgate\r\n\r\n"
_HTTP, _HEAD_END = b"HTTP/1.", b"\r\n\r\n"
#: How often, and how long an answer may take, in seconds: together the longest that silence goes unnoticed.
_EVERY, _PATIENCE = 2.0, 3.0
#: How often, and for how long it is waited for an answer, where a transport looks after the way: silence of the machine
#: or the line ends our connection by itself, and what is left to find out is a gateway that stands still while its
#: transport goes on.  Four processes carry such a knock, and where too much runs each of them may take its time.
_SELDOM = 10.0
#: No honest head of an answer is longer, in bytes.
_LONGEST_HEAD = 16384
_GONE = (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError, OSError)


class Knocking:
    """The probe of gateways: asks over one connection, which tells at once when the other side is gone.

    Silence is noticed after five seconds: by the knocks, or where the way is one of *tunnels*, which may change all the
    time, by its transport, and knocks are few.  There are no labels to be had.
    """

    def __init__(
        self,
        *,
        tunnels: Collection[Endpoint] = (),
        every_seconds: float = _EVERY,
        seldom_seconds: float = _SELDOM,
        patience_seconds: float = _PATIENCE,
    ) -> None:
        self._tunnels = tunnels
        self._every, self._seldom, self._patience = every_seconds, seldom_seconds, patience_seconds

    def __repr__(self) -> str:
        return f"<Knocking every {self._every:g} s>"

    @property
    def service(self) -> Service:
        """Return the service of gateways."""
        return GATEWAY

    async def here(self) -> int:
        """Return 0: no model goes to a gateway in parts."""
        await anyio.lowlevel.checkpoint()
        return 0

    @asynccontextmanager
    async def watch(self, endpoint: Endpoint) -> AsyncGenerator[AsyncIterator[dict[str, str]]]:
        """Yield once, when the gateway at *endpoint* answers, and raise as soon as it does so no more."""
        reports = self._reports(endpoint)
        try:
            yield reports
        finally:
            await reports.aclose()

    async def _reports(self, endpoint: Endpoint) -> AsyncGenerator[dict[str, str]]:
        told, short_lived = False, False
        while True:
            began = anyio.current_time()
            stream = await self._connect(endpoint)
            async with stream:
                fresh = True
                while await self._answers(stream, endpoint, fresh=fresh):
                    fresh = False
                    if not told:
                        told = True
                        yield {}
                    if await self._is_left(stream, self._seldom if endpoint in self._tunnels else self._every):
                        break
            # a server may close a connection that is kept: then a new one tells at once whether it is still there
            lived = anyio.current_time() - began
            if short_lived:
                await anyio.sleep(max(0.0, self._every - lived))
            short_lived = lived < self._every

    async def _connect(self, endpoint: Endpoint) -> SocketStream:
        try:
            with anyio.fail_after(self._patience):
                return await anyio.connect_tcp(endpoint.host, endpoint.port)
        except (TimeoutError, OSError) as error:
            raise Unreachable(f"nothing answers at {endpoint}: {_reason(error)}") from None

    async def _answers(self, stream: SocketStream, endpoint: Endpoint, *, fresh: bool) -> bool:
        """Return whether a knock is answered; False if the connection was closed."""
        head = bytearray()
        patience = self._seldom if endpoint in self._tunnels else self._patience
        try:
            with anyio.fail_after(patience):
                await stream.send(_KNOCK)
                while _HEAD_END not in head:
                    head += await stream.receive()
                    if not _HTTP.startswith(bytes(head[: len(_HTTP)])) or len(head) > _LONGEST_HEAD:
                        raise Unreachable(f"what listens at {endpoint} does not speak HTTP: is it a gateway?")
        except TimeoutError:
            raise Unreachable(f"the gateway at {endpoint} has been silent for {patience:g} s") from None
        except _GONE:
            if fresh:
                raise Unreachable(f"what listens at {endpoint} hangs up without an answer") from None
            return False
        return True

    async def _is_left(self, stream: SocketStream, seconds: float) -> bool:
        """Wait *seconds*, until it is time to knock again; return True at once if the connection is closed."""
        with anyio.move_on_after(seconds):
            try:
                while True:
                    await stream.receive()  # the rest of an answer that has a body, in spite of HEAD
            except _GONE:
                return True
        return False


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "it took too long"
    cause = error.__cause__ or error
    # the number's own text: asyncio writes the address into strerror, trio does not
    number = cause.errno if isinstance(cause, OSError) else None
    return (os.strerror(number) if number and number > 0 else str(cause)).lower()
