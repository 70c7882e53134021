"""HTTP to one server, by aiohttp: connections, patience, and what goes wrong with both."""

from __future__ import annotations

import asyncio  # noqa: TID251  # aiohttp runs on it alone
import os
import socket
from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

import aiohttp
import anyio
from swarmgate.api import EngineError, Unreachable

from swarmgate_backend_openai.faults import refusal
from swarmgate_backend_openai.watchdog import Watchdog

#: Less than servers keep idle connections for (the shortest that is common is 5 s).
_KEEP_ALIVE_SECONDS = 4.0
_LARGEST_ERROR = 64 * 1024
_LARGEST_DOCUMENT = 256 * 1024 * 1024
_GOOD = 200
#: What is left of an answer after its last event, so that the connection can be used again.
_TAIL_SECONDS = 0.05


class ConnectionLost(EngineError):
    """The server closed a connection that it should have answered on: it may be gone."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that has begun, and what notices when it does not go on."""

    response: aiohttp.ClientResponse
    watchdog: Watchdog


class Client:
    """Asks the server at *base*, which is called *who* in errors."""

    def __init__(self, session: aiohttp.ClientSession, base: str, who: str) -> None:
        self._session = session
        self._base = base
        self._unanswered: set[anyio.CancelScope] = set()
        self.who = who

    def __repr__(self) -> str:
        return f"<Client of {self.who}>"

    async def get(self, path: str, headers: Mapping[str, str], *, seconds: float) -> bytes:
        """Return the document at *path*, which may take *seconds*."""
        with self._patience(seconds, "did not answer"), self._told():
            async with self._session.get(self._base + path, headers=headers, allow_redirects=False) as response:
                return await self._whole(response)

    async def post(self, path: str, body: bytes, headers: Mapping[str, str], *, seconds: float | None) -> bytes:
        """Return the document that *body* is answered with, which may take *seconds*."""
        async with self.stream(path, body, headers, seconds=seconds) as answer:
            with self._patience(seconds, "did not finish its answer"), self._told():
                return await self._read(answer.response, _LARGEST_DOCUMENT)

    @asynccontextmanager
    async def stream(
        self, path: str, body: bytes, headers: Mapping[str, str], *, seconds: float | None
    ) -> AsyncGenerator[Answer]:
        """Hold the answer to *body*, which may take *seconds* to begin; leaving closes the connection at once.

        Raises:
            Unreachable: nobody is there.
            EngineError: it answers nothing, or an error of its own.
            RequestError: it refuses the request.
            Unavailable: it cannot answer now.

        """
        with self._patience(seconds, "did not begin to answer", interruptible=True), self._told():
            response = await self._begin(self._base + path, body, headers)
        answer = Answer(response, self._watchdog(response))
        try:
            if response.status != _GOOD:
                with self._patience(seconds, "did not finish its error"), self._told():
                    said = await self._read(response, _LARGEST_ERROR)
                raise self._refused(response, said)
            yield answer
        finally:
            answer.watchdog.stop()
            response.close()  # what is not read to its end is not wanted: the other side shall know

    async def first(self, answer: Answer, *, seconds: float | None) -> bytes:
        """Return the first bytes of an answer, nothing at its end."""
        content = answer.response.content
        with self._told():
            if ready := content.read_nowait():
                return ready
            with self._patience(seconds, "did not begin to answer", interruptible=True):
                return await content.readany()

    async def next(self, answer: Answer, *, seconds: float) -> bytes:
        """Return the next bytes of an answer, nothing at its end."""
        content = answer.response.content
        with self._told():
            if ready := content.read_nowait():
                return ready
            answer.watchdog.expect(seconds)
            try:
                return await content.readany()
            finally:
                answer.watchdog.rest()

    async def tail(self, answer: Answer) -> None:
        """Wait a moment for the end of an answer whose last event has come."""
        response = answer.response
        if response.content.at_eof():
            return
        with anyio.move_on_after(_TAIL_SECONDS), self._told():
            while not response.content.at_eof():
                await response.content.readany()

    def interrupt(self) -> None:
        """Give up all requests that have not begun to be answered."""
        for scope in tuple(self._unanswered):
            scope.cancel()

    async def _begin(self, url: str, body: bytes, headers: Mapping[str, str]) -> aiohttp.ClientResponse:
        try:
            return await self._session.post(url, data=body, headers=headers, allow_redirects=False)
        except aiohttp.ClientConnectorError:
            raise
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
            # A kept connection that the server was about to close; nothing was answered, so nothing is lost.
            return await self._session.post(url, data=body, headers=headers, allow_redirects=False)

    async def _whole(self, response: aiohttp.ClientResponse) -> bytes:
        said = await self._read(response, _LARGEST_DOCUMENT if response.status == _GOOD else _LARGEST_ERROR)
        if response.status != _GOOD:
            raise self._refused(response, said)
        return said

    async def _read(self, response: aiohttp.ClientResponse, largest: int) -> bytes:
        data = bytearray()
        async for piece in response.content.iter_any():
            data += piece
            if len(data) > largest:
                raise EngineError(f"{self.who} sent more than {largest} bytes")
        return bytes(data)

    def _watchdog(self, response: aiohttp.ClientResponse) -> Watchdog:
        def bark(seconds: float) -> None:
            error = EngineError(f"{self.who} fell silent in the middle of an answer within {seconds:g} s")
            response.content.set_exception(error)  # which whoever reads has raised

        loop = asyncio.get_running_loop()
        return Watchdog(bark, clock=loop.time, call_at=loop.call_at)

    def _refused(self, response: aiohttp.ClientResponse, said: bytes) -> Exception:
        headers = {name.lower(): value for name, value in response.headers.items()}
        return refusal(self.who, response.status, headers, said)

    @contextmanager
    def _patience(self, seconds: float | None, what: str, *, interruptible: bool = False) -> Generator[None]:
        """Let the block take *seconds*, and be interrupted if it may.

        Raises:
            EngineError: it took longer; *what* says what the server failed to do.

        """
        now = anyio.current_time()
        with anyio.CancelScope(deadline=float("inf") if seconds is None else now + seconds) as scope:
            if interruptible:
                self._unanswered.add(scope)
            try:
                yield
            finally:
                self._unanswered.discard(scope)
        if scope.cancelled_caught:
            if seconds is not None and anyio.current_time() >= now + seconds:
                raise EngineError(f"{self.who} {what} within {seconds:g} s")
            raise ConnectionLost(f"{self.who} {what}, and does not answer otherwise either")

    @contextmanager
    def _told(self) -> Generator[None]:
        """Translate what aiohttp raises."""
        try:
            yield
        except aiohttp.ConnectionTimeoutError:
            raise Unreachable(f"{self.who} cannot be reached: it did not answer in time; is the machine on?") from None
        except aiohttp.ClientConnectorError as error:
            raise Unreachable(f"{self.who} cannot be reached: {_why(error)}") from None
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError, aiohttp.ClientPayloadError):
            raise ConnectionLost(f"{self.who} closed the connection in the middle of an answer") from None
        except aiohttp.ClientError as error:
            reason = " ".join(str(error).split())[:200] or type(error).__name__
            raise EngineError(f"{self.who} does not speak HTTP as it should: {reason}") from None


def _why(error: aiohttp.ClientConnectorError) -> str:
    cause: object = getattr(error, "os_error", None) or getattr(error, "certificate_error", None)
    number = getattr(cause, "errno", None)
    if isinstance(cause, OSError) and not isinstance(cause, socket.gaierror) and isinstance(number, int) and number > 0:
        return os.strerror(number).lower()
    return str(getattr(cause, "strerror", None) or cause or type(error).__name__)


@asynccontextmanager
async def open_client(base: str, who: str, *, key: str, connect_seconds: float) -> AsyncGenerator[Client]:
    """Open a pool of connections to the server at *base*; *key* is shown with every request, unless empty."""
    headers = {"Accept-Encoding": "identity", "User-Agent": "swarmgate"}
    if key:
        headers["Authorization"] = f"Bearer {key}"
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEP_ALIVE_SECONDS),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=connect_seconds, connect=None, sock_read=None),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers=headers,
        raise_for_status=False,
    )
    async with session:
        yield Client(session, base, who)
