"""HTTP to one server, by aiohttp: connections, patience, and what goes wrong with both."""

from __future__ import annotations

import asyncio  # noqa: TID251  # aiohttp runs on it alone
import errno
import os
import socket
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass

import aiohttp
import anyio
from swarmgate.api import EngineError, Hung, Unreachable

from swarmgate_backend_openai.faults import refusal
from swarmgate_backend_openai.liveness import Liveness, Look, Waiting
from swarmgate_backend_openai.watchdog import Watchdog

#: Less than servers keep idle connections for (the shortest that is common is 5 s).
_KEEP_ALIVE_SECONDS = 4.0
_LARGEST_ERROR = 64 * 1024
_LARGEST_DOCUMENT = 256 * 1024 * 1024
_GOOD = 200
#: What is left of an answer after its last event, so that the connection can be used again.
_TAIL_SECONDS = 0.05
_BEGIN, _SILENT = "did not begin to answer", "fell silent in the middle of an answer"


#: Where to look whether somebody lives.  Gateways say so there; others do not know the path, and say that: in no
#: server does it lead to the engine, nor to a lock that the engine holds.
_LIVES = "/livez"
#: A host that no longer acknowledges anything is found by the kernel: after so many seconds of silence it asks, again
#: after each so many, and gives up after so many questions.  However busy a process is, its kernel answers.
_KERNEL_IDLE, _KERNEL_PAUSE, _KERNEL_QUESTIONS = 5, 3, 3


_Address = tuple[int, int, int, str, tuple[object, ...]]


class ConnectionLost(EngineError):
    """The server closed a connection that it should have answered on: it may be gone."""


class Hangs(ConnectionLost, Hung):
    """The server says nothing, on this connection or on another one."""


@dataclass(frozen=True, slots=True, eq=False)
class Stream:
    """An answer that has begun, the request that waits for it, and what notices when it does not go on.

    *abandon* has whoever reads it raise that the server hangs.
    """

    response: aiohttp.ClientResponse
    waiting: Waiting
    watchdog: Watchdog
    abandon: Callable[[], None]


class Client:
    """Asks the server at *base*, which is called *who* in errors; *apart* makes a connection for each look.

    What its requests wait for is told to *liveness*.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        apart: aiohttp.ClientSession,
        base: str,
        who: str,
        liveness: Liveness,
    ) -> None:
        self._session = session
        self._apart = apart
        self._base = base
        self._liveness = liveness
        self._abandon: dict[Waiting, Callable[[], None]] = {}
        self.who = who
        #: Set when a request begins.
        self.asked = anyio.Event()

    def __repr__(self) -> str:
        return f"<Client of {self.who}>"

    async def get(self, path: str, headers: Mapping[str, str], *, seconds: float) -> bytes:
        """Return the document at *path*, which may take *seconds*."""
        with self._patience(seconds, "did not answer"), self._told():
            async with self._session.get(self._base + path, headers=headers, allow_redirects=False) as response:
                return await self._whole(response)

    async def post(self, path: str, body: bytes, headers: Mapping[str, str], *, seconds: float | None) -> bytes:
        """Return the document that *body* is answered with, which may take *seconds*."""
        async with self.stream(path, body, headers, seconds=seconds) as stream:
            with self._patience(seconds, "did not finish its answer", stream.waiting), self._told():
                return await self._read(stream.response, _LARGEST_DOCUMENT, stream.waiting)

    @asynccontextmanager
    async def stream(
        self, path: str, body: bytes, headers: Mapping[str, str], *, seconds: float | None
    ) -> AsyncGenerator[Stream]:
        """Hold the answer to *body*, which may take *seconds* to begin; leaving closes the connection at once.

        Raises:
            Unreachable: nobody is there.
            EngineError: it answers nothing, or an error of its own.
            RequestError: it refuses the request.
            Unavailable: it cannot answer now.

        """
        waiting = self._liveness.begin()
        self.asked.set()
        try:
            with self._patience(seconds, _BEGIN, waiting), self._told():
                response = await self._begin(self._base + path, body, headers)
            try:
                if response.status != _GOOD:
                    with self._patience(seconds, "did not finish its error", waiting), self._told():
                        said = await self._read(response, _LARGEST_ERROR, waiting)
                    raise self._refused(response, said)
                stream = self._stream(response, waiting)
                try:
                    yield stream
                finally:
                    stream.watchdog.stop()
            finally:
                response.close()  # what is not read to its end is not wanted: the other side shall know
        finally:
            self._liveness.end(waiting)

    async def first(self, stream: Stream, *, seconds: float | None) -> bytes:
        """Return the first bytes of an answer, nothing at its end."""
        content = stream.response.content
        with self._told():
            if ready := content.read_nowait():
                self._liveness.heard(stream.waiting)
                return ready
            with self._patience(seconds, _BEGIN, stream.waiting):
                return await content.readany()

    async def next(self, stream: Stream, *, seconds: float | None) -> bytes:
        """Return the next bytes of an answer, nothing at its end."""
        content, waiting = stream.response.content, stream.waiting
        with self._told():
            if ready := content.read_nowait():
                self._liveness.heard(waiting)
                return ready
            if seconds is not None:
                stream.watchdog.expect(seconds)
            self._liveness.listen(waiting)
            self._abandon[waiting] = stream.abandon
            try:
                said = await content.readany()
                self._liveness.heard(waiting)
                return said
            finally:
                waiting.listens = False
                del self._abandon[waiting]
                stream.watchdog.rest()

    async def tail(self, stream: Stream) -> None:
        """Wait a moment for the end of an answer whose last event has come."""
        content = stream.response.content
        if content.at_eof():
            return
        with anyio.move_on_after(_TAIL_SECONDS), self._told():
            while not content.at_eof():
                await content.readany()

    async def look(self, headers: Mapping[str, str], *, seconds: float) -> Look:
        """Return whether the server says anything within *seconds*, on a connection of its own."""
        try:
            with anyio.fail_after(seconds):
                async with self._apart.get(self._base + _LIVES, headers=headers, allow_redirects=False):
                    return "answered"
        except (TimeoutError, aiohttp.ServerTimeoutError):
            return "silent"
        except aiohttp.ClientSSLError:
            return "answered"
        except aiohttp.ClientConnectorError as error:
            return _unreached(error)
        except aiohttp.ClientError:  # it closed the connection, or speaks something else: so it is there
            return "answered"
        except Exception:  # noqa: BLE001 -- whatever a strange server provokes, others go on
            return "unclear"

    def give_up(self, waiting: Waiting) -> None:
        """Have the request that is *waiting* fail: the server hangs."""
        if waiting in self._abandon:
            self._abandon[waiting]()

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

    async def _read(self, response: aiohttp.ClientResponse, largest: int, waiting: Waiting | None = None) -> bytes:
        data = bytearray()
        async for piece in response.content.iter_any():
            data += piece
            if waiting is not None:
                self._liveness.heard(waiting)
                self._liveness.listen(waiting)
            if len(data) > largest:
                raise EngineError(f"{self.who} sent more than {largest} bytes")
        return bytes(data)

    def _stream(self, response: aiohttp.ClientResponse, waiting: Waiting) -> Stream:
        def bark(seconds: float) -> None:
            # which whoever reads has raised
            response.content.set_exception(Hung(f"{self.who} {_SILENT} within {seconds:g} s"))

        def abandon() -> None:
            response.content.set_exception(Hangs(f"{self.who} {_SILENT}, and does not answer otherwise either"))

        loop = asyncio.get_running_loop()
        return Stream(response, waiting, Watchdog(bark, clock=loop.time, call_at=loop.call_at), abandon)

    def _refused(self, response: aiohttp.ClientResponse, said: bytes) -> Exception:
        headers = {name.lower(): value for name, value in response.headers.items()}
        return refusal(self.who, response.status, headers, said)

    @contextmanager
    def _patience(self, seconds: float | None, what: str, waiting: Waiting | None = None) -> Generator[None]:
        """Let the block take *seconds*; a request that is *waiting* may be given up meanwhile.

        Raises:
            Hung: it took longer; *what* says what the server failed to do.

        """
        now = anyio.current_time()
        with anyio.CancelScope(deadline=float("inf") if seconds is None else now + seconds) as scope:
            if waiting is None:
                yield
            else:
                self._abandon[waiting] = scope.cancel
                self._liveness.listen(waiting)
                try:
                    yield
                    self._liveness.heard(waiting)
                finally:
                    waiting.listens = False
                    del self._abandon[waiting]
        if scope.cancelled_caught:
            if seconds is not None and anyio.current_time() >= now + seconds:
                raise Hung(f"{self.who} {what} within {seconds:g} s")
            raise Hangs(f"{self.who} {what}, and does not answer otherwise either")

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


def _unreached(error: aiohttp.ClientConnectorError) -> Look:
    """Return what it says of a server that no connection to it could be made."""
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "unclear"
    return "refused" if error.os_error.errno == errno.ECONNREFUSED else "silent"


def _why(error: aiohttp.ClientConnectorError) -> str:
    cause: object = getattr(error, "os_error", None) or getattr(error, "certificate_error", None)
    number = getattr(cause, "errno", None)
    if isinstance(cause, OSError) and not isinstance(cause, socket.gaierror) and isinstance(number, int) and number > 0:
        return os.strerror(number).lower()
    return str(getattr(cause, "strerror", None) or cause or type(error).__name__)


@asynccontextmanager
async def open_client(
    base: str, who: str, *, key: str, connect_seconds: float, liveness: Liveness
) -> AsyncGenerator[Client]:
    """Open a pool of connections to the server at *base*; *key* is shown with every request, unless empty."""
    headers = {"Accept-Encoding": "identity", "User-Agent": "swarmgate"}
    if key:
        headers["Authorization"] = f"Bearer {key}"

    def session(connector: aiohttp.TCPConnector) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=connect_seconds, connect=None, sock_read=None),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=headers,
            raise_for_status=False,
        )

    async with AsyncExitStack() as stack:
        kept = aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEP_ALIVE_SECONDS, socket_factory=_watched_socket)
        pool = await stack.enter_async_context(session(kept))
        apart = await stack.enter_async_context(session(aiohttp.TCPConnector(limit=0, force_close=True)))
        yield Client(pool, apart, base, who, liveness)


def _watched_socket(address: _Address) -> socket.socket:
    """Return a socket whose kernel notices when the other machine is gone."""
    family, kind, protocol, *_ = address
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (
        ("TCP_KEEPIDLE", _KERNEL_IDLE),
        ("TCP_KEEPINTVL", _KERNEL_PAUSE),
        ("TCP_KEEPCNT", _KERNEL_QUESTIONS),
    ):
        if hasattr(socket, name):  # each system has its own few
            made.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    return made
