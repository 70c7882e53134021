"""One engine process and its answers: frames to deltas, deaths to errors."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from itertools import count
from typing import Any, Literal, NamedTuple

import anyio
import structlog
from swarmgate.api import (
    Child,
    ContextExceeded,
    Delta,
    EngineError,
    Frame,
    Health,
    RequestError,
    Starting,
    SwarmgateError,
    Unsupported,
)

from swarmgate_backend_llamacpp.messages import (
    Awake,
    Cancel,
    Failed,
    FromChild,
    Load,
    LoadFailed,
    Loading,
    Piece,
    Ready,
)

_ERRORS: dict[str, type[SwarmgateError]] = {
    kind.__name__: kind for kind in (RequestError, ContextExceeded, Unsupported, EngineError)
}
#: llama.cpp would start a debugger on itself before it aborts, which takes seconds.
_ENVIRON = {"GGML_NO_BACKTRACE": "1"}


class Outcome(NamedTuple):
    """What became of an order to load, or of what was loaded, and why."""

    kind: Literal["ready", "failed", "died", "lost", "refused"]
    reason: str = ""


class Answer:
    """What the engine said about one request and nobody has read yet."""

    def __init__(self) -> None:
        self._said: deque[Frame | SwarmgateError] = deque()
        self._news = anyio.Event()

    def put(self, item: Frame | SwarmgateError) -> None:
        """Add what was said, or why nothing will be."""
        self._said.append(item)
        self._news.set()

    async def get(self) -> Frame:
        """Return what was said next, or raise why nothing will be."""
        while not self._said:
            self._news = anyio.Event()
            await self._news.wait()
        item = self._said.popleft()
        if isinstance(item, SwarmgateError):
            raise item
        return item

    async def deltas(self) -> AsyncGenerator[Delta]:
        """Yield the pieces of what is written, to the last one."""
        while True:
            frame = await self.get()
            if not isinstance(frame, Piece):
                raise EngineError(f"the engine said {type(frame).__name__} in the middle of an answer")
            yield frame.delta
            if frame.delta.finish is not None:
                return


class EngineChild:
    """An engine process that loads when it is ordered to; one that died is replaced, and waits for the next order.

    :attr:`child` is to be held open by whoever owns this.
    """

    def __init__(self, model: str) -> None:
        """*model* is a name for people."""
        self.child: Child[Any] = Child(
            f"engine of {model}",
            [sys.executable, "-m", "swarmgate_backend_llamacpp.engine"],
            FromChild,
            self,
            _ENVIRON,
        )
        self.ready = False
        self.reason = "loading"
        self._progress: float = 0.0
        self._order: Load | None = None
        self._outcome: Outcome | None = None
        self._awake = False
        self._killed = False
        self._numbers = count(1)
        self._answers: dict[int, Answer] = {}
        self._news = anyio.Event()
        self._log = structlog.get_logger("swarmgate.llamacpp").bind(model=model)

    def __repr__(self) -> str:
        return f"<EngineChild {'ready' if self.ready else self.reason}, {len(self._answers)} answers>"

    @property
    def in_flight(self) -> int:
        """Return how many requests the engine has not finished with."""
        return len(self._answers)

    def health(self) -> Health:
        """Return whether it is loaded, or how far it is, or why not."""
        return Health(ready=True) if self.ready else Health(ready=False, reason=self.reason, progress=self._progress)

    async def order(self, load: Load) -> None:
        """Let the process, or the next one if there is none now, load; :meth:`settled` tells what comes of it."""
        self._order, self._outcome, self._progress = load, None, 0.0
        with suppress(Starting):  # a fresh process is told when it starts
            await self.child.tell(load)
            self.reason = "loading"

    async def awake(self) -> None:
        """Wait until a process is up and could load, or has died trying."""
        while not self._awake and self._outcome is None:
            await self._news.wait()

    async def settled(self) -> Outcome:
        """Wait for what comes of the order: ready, failed or died."""
        while self._outcome is None:
            await self._news.wait()
        return self._outcome

    async def fallen(self) -> Outcome:
        """Wait until the process has died."""
        while self._outcome is None or self._outcome.kind != "died":
            await self._news.wait()
        return self._outcome

    async def idle(self) -> None:
        """Wait until no answer is being written."""
        while self._answers:
            await self._news.wait()

    def kill(self, why: str) -> None:
        """Kill the process, which may hang; whoever waits for an answer is told *why*."""
        self._fall(why, EngineError(why))
        self._killed = True
        if self.child.pid is None:
            self._settle(Outcome("died", why))
        self.child.kill()

    def finish(self, error: SwarmgateError) -> None:
        """End all answers with *error*, and take no more."""
        self._fall(str(error), error)

    @asynccontextmanager
    async def asking(self, frame: Callable[[int], Frame]) -> AsyncGenerator[Answer]:
        """Send what *frame* makes of a number, and yield the answer to it; leaving stops the work.

        Raises:
            Starting: it is not ready.

        """
        if not self.ready:
            raise Starting(self.reason)
        number = next(self._numbers)
        answer = self._answers[number] = Answer()
        try:
            await self.child.tell(frame(number))
            yield answer
        finally:
            if self._answers.pop(number, None) is not None:
                self._stir()
                with anyio.CancelScope(shield=True), suppress(Starting):
                    await self.child.tell(Cancel(number))

    def started(self) -> Sequence[Frame]:
        """Tell a fresh process what to load, if there is an order."""
        self._awake = self._killed = False
        if self._order is None:
            return []
        self.reason, self._progress = "loading", 0.0
        return [self._order]

    def received(self, frame: Any) -> None:
        """Take in what the engine says."""
        match frame:
            case Awake():
                self._awake = True
                self._stir()
            case Loading(progress=progress):
                self._progress = progress
            case Ready():
                if self._order is not None:
                    self.ready = True
                    self._settle(Outcome("ready"))
                    self._log.info("engine.ready", pid=self.child.pid)
            case LoadFailed(message=message):
                self._settle(Outcome("failed", message))
            case Failed(number=number, kind=kind, message=message, param=param):
                error = _ERRORS.get(kind, EngineError)
                made = error(message, param=param) if issubclass(error, RequestError) else error(message)
                self._tell(number, made, last=True)
            case Piece(number=number, delta=delta):
                self._tell(number, frame, last=delta.finish is not None)
            case _:
                self._tell(frame.number, frame, last=True)

    def died(self, reason: str) -> None:
        """Tell everybody who waited; the next process waits for an order."""
        words = " / ".join(list(self.child.last_words)[-3:])
        self._awake = False
        if not self._killed:
            self._fall(f"restarting: the engine {reason}", EngineError(f"the engine {reason}"))
        self._settle(Outcome("died", f"{reason}: {words}" if words else reason))

    def _fall(self, reason: str, error: SwarmgateError) -> None:
        self._order, self.ready, self.reason, self._progress = None, False, reason, 0.0
        for number in list(self._answers):
            self._tell(number, error, last=True)

    def _settle(self, outcome: Outcome) -> None:
        self._outcome = outcome
        self._stir()

    def _stir(self) -> None:
        self._news.set()
        self._news = anyio.Event()

    def _tell(self, number: int, item: Frame | SwarmgateError, *, last: bool) -> None:
        answer = self._answers.pop(number, None) if last else self._answers.get(number)
        if answer is not None:
            answer.put(item)
        if last:
            self._stir()
