"""The backend's side of the engine: frames to deltas, deaths to errors."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, Self, TypeVar

import anyio
import anyio.to_thread
import structlog
from anyio.abc import TaskGroup
from swarmgate.api import (
    Child,
    ContextExceeded,
    Delta,
    Embeddings,
    EmbedRequest,
    EngineError,
    Frame,
    GenerateRequest,
    Health,
    ModelCard,
    RequestError,
    SplitPlan,
    Starting,
    SwarmgateError,
    Token,
    TokenizeRequest,
    UnknownModel,
    Unsupported,
)

from swarmgate_backend_llamacpp.bundled import find_model
from swarmgate_backend_llamacpp.card import draw_card, plain_name
from swarmgate_backend_llamacpp.gguf_file import read_gguf
from swarmgate_backend_llamacpp.messages import (
    Cancel,
    Detokenize,
    Detokenized,
    Embed,
    Embedded,
    Failed,
    FromChild,
    Generate,
    Load,
    LoadFailed,
    Loading,
    Piece,
    Ready,
    Tokenize,
    Tokenized,
)
from swarmgate_backend_llamacpp.options import LlamaOptions

FrameT = TypeVar("FrameT", bound=Frame)
_ERRORS: dict[str, type[SwarmgateError]] = {
    kind.__name__: kind for kind in (RequestError, ContextExceeded, Unsupported, EngineError)
}
#: An engine that dies this often before it was ever ready will not become ready by dying again.
_MOST_DEATHS = 5


class _Answer:
    """What the engine said about one request and nobody has read yet."""

    def __init__(self) -> None:
        self._said: deque[Frame | SwarmgateError] = deque()
        self._news = anyio.Event()

    def put(self, item: Frame | SwarmgateError) -> None:
        self._said.append(item)
        self._news.set()

    async def get(self) -> Frame:
        while not self._said:
            self._news = anyio.Event()
            await self._news.wait()
        item = self._said.popleft()
        if isinstance(item, SwarmgateError):
            raise item
        return item


class LlamaBackend:
    """One model in one engine child; a dead engine is replaced, and whoever waited is told."""

    def __init__(self, options: LlamaOptions, path: Path, card: ModelCard, *, fault: str | None = None) -> None:
        """*fault* says why the model cannot be served at all, whatever is tried."""
        self._options, self._path, self._card = options, path, card
        self._health = Health(ready=False, reason="not loaded yet")
        self._numbers = count(1)
        self._answers: dict[int, _Answer] = {}
        self._settled = anyio.Event()
        self._deaths = 0
        self._failed = fault
        self._child: Child[Any] | None = None
        self._stack = AsyncExitStack()
        self._tasks: TaskGroup | None = None
        self._log = structlog.get_logger("swarmgate.llamacpp").bind(model=self._card.name)
        if fault is not None:
            self._give_up(fault)

    def __repr__(self) -> str:
        return f"<LlamaBackend {self._card.name} {self._health.reason or 'ready'}, {len(self._answers)} answers>"

    async def __aenter__(self) -> Self:
        self._tasks = await self._stack.enter_async_context(anyio.create_task_group())
        self._stack.callback(self._tasks.cancel_scope.cancel)
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._stack.aclose()

    def models(self) -> tuple[ModelCard, ...]:
        """Return the model's card, read from the file's head."""
        return (self._card,)

    def health(self) -> Health:
        """Return whether the engine is loaded, or how far it is, or why it failed."""
        return self._health

    @property
    def in_flight(self) -> int:
        """Return how many requests the engine has not finished with."""
        return len(self._answers)

    @property
    def pid(self) -> int | None:
        """Return the engine's process, None while there is none."""
        return self._child.pid if self._child is not None else None

    def kill(self) -> None:
        """Kill the engine's process; a new one follows."""
        if self._child is not None:
            self._child.kill()

    async def load(self, plan: SplitPlan) -> None:
        """Start the engine and wait until it is ready."""
        if self._tasks is None:
            raise EngineError(f"the backend of {self._card.name!r} is not open")
        if self._child is None and self._failed is None:
            self._health = Health(ready=False, reason="loading", progress=0.0)
            self._child = Child(
                f"engine of {self._card.name}",
                [sys.executable, "-m", "swarmgate_backend_llamacpp.engine"],
                FromChild,
                self,
            )
            self._tasks.start_soon(self._keep, self._child)
        await self._settled.wait()
        if self._failed is not None:
            raise EngineError(self._failed)

    @asynccontextmanager
    async def generate(self, request: GenerateRequest) -> AsyncGenerator[AsyncIterator[Delta]]:
        """Let the engine write an answer; leaving tells it to stop."""
        async with self._asking(request.model, partial(Generate, request=request)) as answer:
            deltas = _deltas(answer)
            try:
                yield deltas
            finally:
                await deltas.aclose()

    async def embed(self, request: EmbedRequest) -> Embeddings:
        """Let the engine embed."""
        return (await self._ask(Embedded, request.model, partial(Embed, request=request))).embeddings

    async def tokenize(self, request: TokenizeRequest) -> tuple[Token, ...]:
        """Let the engine cut text into tokens."""
        return (await self._ask(Tokenized, request.model, partial(Tokenize, request=request))).tokens

    async def detokenize(self, model: str, ids: Sequence[int]) -> bytes:
        """Let the engine join tokens."""
        return (await self._ask(Detokenized, model, partial(Detokenize, ids=tuple(ids)))).data

    def started(self) -> Sequence[Frame]:
        """Tell a fresh engine what to load."""
        self._health = Health(ready=False, reason="loading", progress=0.0)
        return [Load(str(self._path), self._card, self._options)]

    def received(self, frame: Any) -> None:
        """Take in what the engine says."""
        match frame:
            case Loading(progress=progress):
                self._health = Health(ready=False, reason="loading", progress=progress)
            case Ready():
                self._deaths = 0
                self._health = Health(ready=True)
                self._settled.set()
                self._log.info("engine.ready", pid=self.pid)
            case LoadFailed(message=message):
                self._give_up(message)
            case Failed(number=number, kind=kind, message=message, param=param):
                error = _ERRORS.get(kind, EngineError)
                made = error(message, param=param) if issubclass(error, RequestError) else error(message)
                self._tell(number, made, last=True)
            case Piece(number=number, delta=delta):
                self._tell(number, frame, last=delta.finish is not None)
            case _:
                self._tell(frame.number, frame, last=True)

    def died(self, reason: str) -> None:
        """Tell everybody who waited, and count."""
        self._deaths += 1
        words = list(self._child.last_words) if self._child else []
        if self._deaths >= _MOST_DEATHS and not self._settled.is_set():
            self._give_up(f"the engine {reason}, {self._deaths} times before it was ready: {' / '.join(words[-3:])}")
        else:
            self._health = Health(ready=False, reason=f"restarting: the engine {reason}", progress=0.0)
        for number in list(self._answers):
            self._tell(number, EngineError(f"the engine {reason}"), last=True)

    def _give_up(self, reason: str) -> None:
        self._log.error("engine.failed", reason=reason)
        self._health = Health(ready=False, reason=reason, permanent=True)
        self._child, self._failed = None, reason
        self._settled.set()

    def _tell(self, number: int, item: Frame | SwarmgateError, *, last: bool) -> None:
        answer = self._answers.pop(number, None) if last else self._answers.get(number)
        if answer is not None:
            answer.put(item)

    async def _keep(self, child: Child[Any]) -> None:
        """Hold *child* open for as long as it is the one in use."""
        async with child:
            while self._child is child:
                await self._settled.wait()
                await anyio.sleep(0.2)

    @asynccontextmanager
    async def _asking(self, model: str, frame: Callable[[int], Frame]) -> AsyncGenerator[_Answer]:
        if model != self._card.name and model not in self._card.aliases:
            raise UnknownModel(f"{model!r} is not served here; this is {self._card.name!r}", param="model")
        child = self._child
        if child is None or not self._health.ready:
            if self._failed is not None:
                raise EngineError(self._failed)
            raise Starting(f"{self._card.name!r} is {self._health.reason}")
        number = next(self._numbers)
        answer = self._answers[number] = _Answer()
        try:
            await child.tell(frame(number))
            yield answer
        finally:
            if self._answers.pop(number, None) is not None:
                with anyio.CancelScope(shield=True), suppress(Starting):
                    await child.tell(Cancel(number))

    async def _ask(self, kind: type[FrameT], model: str, frame: Callable[[int], Frame]) -> FrameT:
        async with self._asking(model, frame) as answer:
            said = await answer.get()
            if not isinstance(said, kind):
                raise EngineError(f"the engine said {type(said).__name__}, expected {kind.__name__}")
            return said


@asynccontextmanager
async def open_backend(options: LlamaOptions) -> AsyncGenerator[LlamaBackend]:
    """Read the model file's head; the engine starts when it is told to load.

    A file that is no sound GGUF makes a backend that has failed for good: other models are served all the same.

    Raises:
        ConfigError: there is no model to serve.

    """
    path = find_model(options.model)

    def read() -> tuple[ModelCard, str | None]:
        try:
            return draw_card(read_gguf(path), options), None
        except EngineError as error:
            return ModelCard(name=options.name or plain_name(path), aliases=options.aliases), str(error)

    card, fault = await anyio.to_thread.run_sync(read)
    async with LlamaBackend(options, path, card, fault=fault) as backend:
        yield backend


async def _deltas(answer: _Answer) -> AsyncGenerator[Delta]:
    while True:
        frame = await answer.get()
        if not isinstance(frame, Piece):
            raise EngineError(f"the engine said {type(frame).__name__} in the middle of an answer")
        yield frame.delta
        if frame.delta.finish is not None:
            return
