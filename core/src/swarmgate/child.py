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
from typing import Any, Generic, Protocol, Self, TypeVar

import anyio
from anyio.abc import ByteReceiveStream, Process

from swarmgate.errors import Starting, WireError
from swarmgate.frames import Frame, FrameSplitter, encode_frame

FrameT = TypeVar("FrameT", bound=Frame)
_CHUNK = 1 << 18
_TAIL_LINES = 12


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


@dataclass(slots=True)
class Child(Generic[FrameT]):
    """Keeps a process running; enter it to start, leave it to stop.

    *kinds* is the union of frames the child may say.  *environ* is added to the inherited
    environment; secrets go into frames, never into *command*.
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
    _writing: anyio.Lock = field(default_factory=anyio.Lock, init=False)
    _stack: AsyncExitStack = field(default_factory=AsyncExitStack, init=False)

    def __repr__(self) -> str:
        state = f"pid {self.pid}" if self.pid else "not running"
        return f"<Child {self.name} {state}, started {self.starts} times>"

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            tasks = await stack.enter_async_context(anyio.create_task_group())
            stack.callback(tasks.cancel_scope.cancel)
            tasks.start_soon(self._keep_running)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._stack.aclose()

    async def tell(self, *frames: Frame) -> None:
        """Write *frames* to the child.

        Raises:
            Starting: no child is running at the moment.

        """
        data = b"".join(map(encode_frame, frames))
        process = self._process
        if process is None or process.stdin is None:
            raise Starting(f"{self.name} is being restarted")
        try:
            async with self._writing:  # a pipe takes one writer at a time
                with anyio.CancelScope(shield=True):  # half a frame would spoil all that follow
                    await process.stdin.send(data)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            raise Starting(f"{self.name} is being restarted") from None

    def kill(self) -> None:
        """Kill the running process, if there is one; a new one follows after the pause."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.kill()

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
            splitter = FrameSplitter[FrameT](self.kinds)
            try:
                await self.tell(*self.events.started())
                while True:
                    for frame in splitter.feed(await _receive(process.stdout)):
                        self.events.received(frame)
            except (anyio.EndOfStream, Starting):
                pass
            except WireError as error:
                self.kill()
                return f"was killed for what it said: {error}"
            return _describe(await process.wait())

    @asynccontextmanager
    async def _open(self) -> AsyncGenerator[Process]:
        self.last_words.clear()
        process = await anyio.open_process(
            self.command,
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,
            env={**os.environ, **self.environ},
            start_new_session=True,  # Ctrl-C is the gateway's to handle, in order
        )
        async with process, anyio.create_task_group() as tasks:
            self._process, self.pid = process, process.pid
            self.starts += 1
            tasks.start_soon(self._listen_to_stderr, process.stderr)
            try:
                yield process
            finally:
                self._process, self.pid = None, None
                with anyio.CancelScope(shield=True):
                    await self._end(process)
                tasks.cancel_scope.cancel()

    async def _end(self, process: Process) -> None:
        if process.stdin is not None:
            await process.stdin.aclose()
        with anyio.move_on_after(self.stop_seconds):
            await process.wait()
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def _listen_to_stderr(self, stream: ByteReceiveStream | None) -> None:
        log = _logger().bind(part=self.name)
        rest = b""
        while True:
            try:
                rest += await _receive(stream)
            except anyio.EndOfStream:
                return
            *lines, rest = rest[-_CHUNK:].split(b"\n")
            for line in lines:
                text = line.decode(errors="replace").rstrip()
                if text:
                    self.last_words.append(text)
                    log.debug("child.said", line=text)


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
