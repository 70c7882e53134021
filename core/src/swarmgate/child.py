"""A supervised child process that talks in frames.

What blocks, may abort, or wants another event loop lives in a child: its death is an ordinary
event.  A child's stdout carries frames and nothing else (the child takes descriptor 1 for itself
and points the old one at stderr); its stderr is logged line by line.  The end of its stdin ends
the child, so it never outlives the gateway.
"""

from __future__ import annotations

import os
import signal
import time
from collections import deque
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from subprocess import PIPE
from types import TracebackType
from typing import Any, Generic, Protocol, Self, TypeVar

import anyio
from anyio.abc import ByteReceiveStream, ByteSendStream, Process

from swarmgate.background import background
from swarmgate.errors import Starting, WireError
from swarmgate.frames import Frame, FrameSplitter, encode_frame

FrameT = TypeVar("FrameT", bound=Frame)
_CHUNK = 1 << 18
_TAIL_LINES = 12
#: How long what a dead process said may still be on its way.
_LAST_WORDS_SECONDS = 1.0


class ChildEvents(Protocol):
    """What the owner of a child is told.  Called on the event loop; must not block."""

    def started(self) -> Sequence[Frame]:
        """Return the frames a fresh child is told first."""
        ...

    def received(self, frame: Any) -> None:
        """Take one frame the child said."""
        ...

    def died(self, reason: str) -> None:
        """Learn that the child is gone, such as ``was killed by SIGABRT``; a new one follows."""
        ...


@dataclass(frozen=True, slots=True)
class Pauses:
    """How long to wait before a restart, in seconds: doubling, and forgotten after a healthy while."""

    first: float = 0.1
    longest: float = 5.0
    healthy: float = 60.0


class _Outbox:
    """Bytes on their way to one process.

    A writer of its own, because whoever tells something may be cancelled at any time, and half a
    frame would spoil all that follow; nor may anybody wait on a process that does not read.
    """

    def __init__(self, frames: Sequence[Frame]) -> None:
        self._bytes = bytearray()
        self._news = anyio.Event()
        self.put(frames)

    def put(self, frames: Sequence[Frame]) -> None:
        for frame in frames:
            self._bytes += encode_frame(frame)
        self._news.set()

    async def write_to(self, stream: ByteSendStream) -> None:
        while True:
            await self._news.wait()
            self._news = anyio.Event()
            data, self._bytes = self._bytes, bytearray()
            try:
                await stream.send(bytes(data))
            except (anyio.BrokenResourceError, anyio.ClosedResourceError):
                return  # it died; whoever reads its output learns so


@dataclass(slots=True)
class Child(Generic[FrameT]):
    """Keeps a process running; enter it to start, leave it to stop.

    *kinds* is the union of frames the child may say.  *environ* is added to the inherited
    environment; secrets go into frames, never into *command*.  Leaving closes the child's stdin;
    if it has not ended after *stop_seconds*, it is killed, with all of its process group.
    """

    name: str
    command: Sequence[str]
    kinds: Any
    events: ChildEvents
    environ: Mapping[str, str] = field(default_factory=dict[str, str])
    pauses: Pauses = Pauses()
    stop_seconds: float = 3.0
    starts: int = field(default=0, init=False)
    pid: int | None = field(default=None, init=False)
    last_words: deque[str] = field(default_factory=lambda: deque[str](maxlen=_TAIL_LINES), init=False)
    _process: Process | None = field(default=None, init=False)
    _outbox: _Outbox | None = field(default=None, init=False)
    _stack: AsyncExitStack = field(default_factory=AsyncExitStack, init=False)

    def __repr__(self) -> str:
        state = f"pid {self.pid}" if self.pid else "not running"
        return f"<Child {self.name} {state}, started {self.starts} times>"

    async def __aenter__(self) -> Self:
        tasks = await self._stack.enter_async_context(background())
        tasks.start_soon(self._keep_running)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._stack.__aexit__(kind, error, traceback)

    async def tell(self, *frames: Frame) -> None:
        """Send *frames* to the child, in this order; they are on their way when this returns.

        Raises:
            Starting: no child is running at the moment.

        """
        if self._outbox is None:
            raise Starting(f"{self.name} is being restarted")
        self._outbox.put(frames)
        await anyio.lowlevel.checkpoint()

    def kill(self) -> None:
        """Kill the running process and its group, if there is one; a new one follows after the pause."""
        if self._process is not None:
            _kill_group(self._process.pid)

    async def _keep_running(self) -> None:
        log = _logger().bind(part=self.name)
        pause = self.pauses.first
        while True:
            began = time.monotonic()
            try:
                reason = await self._run_once()
            except OSError as error:
                reason = f"could not be started: {error}"
            if time.monotonic() - began >= self.pauses.healthy:
                pause = self.pauses.first
            log.warning("child.died", reason=reason, seconds=round(pause, 2), last_words=list(self.last_words))
            self.events.died(reason)
            await anyio.sleep(pause)
            pause = min(pause * 2, self.pauses.longest)

    async def _run_once(self) -> str:
        async with self._open() as process:
            try:
                await self._listen(process)
            except WireError as error:
                self.kill()
                return f"was killed for what it said: {error}"
            with anyio.move_on_after(self.stop_seconds):
                return _describe(await process.wait())
            self.kill()
            return "was killed because it closed its output and did not end"

    @asynccontextmanager
    async def _open(self) -> AsyncGenerator[Process]:
        self.last_words.clear()
        process = await self._start()
        async with process, background() as tasks:
            self._process, self.pid = process, process.pid
            self.starts += 1
            last_word = anyio.Event()
            tasks.start_soon(self._listen_to_stderr, process.stderr, last_word)
            try:
                self._outbox = _Outbox(self.events.started())
                if process.stdin is not None:
                    tasks.start_soon(self._outbox.write_to, process.stdin)
                yield process
            finally:
                self._process, self.pid, self._outbox = None, None, None
                with anyio.CancelScope(shield=True):
                    await self._end(process)
                    with anyio.move_on_after(_LAST_WORDS_SECONDS):
                        await last_word.wait()

    async def _start(self) -> Process:
        started: list[Process] = []
        with anyio.CancelScope(shield=True):  # cancelled half-way it might run on unknown to anybody
            process = await anyio.open_process(
                self.command,
                stdin=PIPE,
                stdout=PIPE,
                stderr=PIPE,
                env={**os.environ, **self.environ},
                start_new_session=True,  # Ctrl-C is the gateway's to handle, in order
            )
            started.append(process)
        return started[0]

    async def _listen(self, process: Process) -> None:
        """Pass on what the process says, until it closes its output or is gone."""
        splitter = FrameSplitter[FrameT](self.kinds)
        async with background() as tasks:
            with anyio.CancelScope() as scope:
                tasks.start_soon(_cancel_after_exit, process, scope)
                with suppress(anyio.EndOfStream):
                    while True:
                        for frame in splitter.feed(await _receive(process.stdout)):
                            self.events.received(frame)

    async def _end(self, process: Process) -> None:
        with anyio.move_on_after(self.stop_seconds):
            if process.stdin is not None:
                await process.stdin.aclose()
            await process.wait()
        _kill_group(process.pid)  # also what it may have started and left behind
        await process.wait()

    async def _listen_to_stderr(self, stream: ByteReceiveStream | None, ended: anyio.Event) -> None:
        log = _logger().bind(part=self.name)
        rest = b""
        try:
            while True:
                rest += await _receive(stream)
                *lines, rest = rest[-_CHUNK:].split(b"\n")
                for line in lines:
                    self._heard(line, log)
        except anyio.EndOfStream:
            self._heard(rest, log)
        finally:
            ended.set()

    def _heard(self, line: bytes, log: Any) -> None:
        text = line.decode(errors="replace").rstrip()
        if text:
            self.last_words.append(text)
            log.debug("child.said", line=text)


async def _cancel_after_exit(process: Process, scope: anyio.CancelScope) -> None:
    """End the listening to a process that is gone, though others may still hold its output open."""
    await process.wait()
    await anyio.sleep(_LAST_WORDS_SECONDS)
    scope.cancel()


def _kill_group(pid: int) -> None:
    """Kill the process group that *pid* leads; its number is not given away while any of it lives."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def _logger() -> Any:
    import structlog  # here: it takes long, and every plugin imports this module through the api

    return structlog.get_logger("swarmgate.child")


async def _receive(stream: ByteReceiveStream | None) -> bytes:
    if stream is None:
        raise anyio.EndOfStream
    try:
        return await stream.receive(_CHUNK)
    except (anyio.BrokenResourceError, anyio.ClosedResourceError):
        raise anyio.EndOfStream from None


def _describe(code: int) -> str:
    if code >= 0:
        return f"exited with status {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"was killed by signal {-code}"
