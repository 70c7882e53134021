"""The backend: which engine answers, which one is to take its place, and when."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Self, TypeVar

import anyio
import anyio.to_thread
import structlog
from anyio.abc import TaskGroup
from swarmgate.api import (
    Delta,
    Embeddings,
    EmbedRequest,
    EngineError,
    Frame,
    GenerateRequest,
    Health,
    ModelCard,
    SplitPlan,
    Starting,
    SwarmgateError,
    Token,
    TokenizeRequest,
    Unavailable,
    UnknownModel,
    free_memory,
)

from swarmgate_backend_llamacpp.bundled import find_model
from swarmgate_backend_llamacpp.card import draw_card, plain_name
from swarmgate_backend_llamacpp.doubts import doubts
from swarmgate_backend_llamacpp.engine.processors import default_threads
from swarmgate_backend_llamacpp.engine_child import Answer
from swarmgate_backend_llamacpp.gguf_file import read_gguf
from swarmgate_backend_llamacpp.holding import Holding
from swarmgate_backend_llamacpp.layout import layers_of
from swarmgate_backend_llamacpp.messages import (
    Detokenize,
    Detokenized,
    Embed,
    Embedded,
    Generate,
    Tokenize,
    Tokenized,
)
from swarmgate_backend_llamacpp.options import LlamaOptions
from swarmgate_backend_llamacpp.placed import Model, Placed
from swarmgate_backend_llamacpp.rpc.in_use import InUse

FrameT = TypeVar("FrameT", bound=Frame)
#: How long an engine may write on: before another takes its memory or its workers, and beside another that is ready.
_GAP_SECONDS, _BESIDE_SECONDS = 2.0, 10.0


class _Try:
    """A load under way, for all who asked for the same."""

    def __init__(self, placed: Placed) -> None:
        self.placed = placed
        self.askers = 0
        self.error: SwarmgateError | None = None
        self.done = anyio.Event()


class LlamaBackend:
    """One model, loaded by one plan at a time; while it changes from one to another there may be two engines."""

    def __init__(
        self,
        options: LlamaOptions,
        path: Path,
        card: ModelCard,
        *,
        fault: str | None = None,
        holder: str = "",
        in_use: InUse | None = None,
    ) -> None:
        """*fault* says why the model cannot be served at all; *holder* is what lenders are told, *in_use* shared."""
        self._model, self._card = Model(path, card, options), card
        self._holder, self._in_use = holder, in_use or InUse()
        self._live: list[Placed] = []
        self._current: Placed | None = None
        self._try: _Try | None = None
        self._moving = self._ever_split = self._ever_ready = False
        self._failed = fault
        self._reason = "not loaded yet"
        self._stack = AsyncExitStack()
        self._tasks: TaskGroup | None = None
        self._log = structlog.get_logger("swarmgate.llamacpp").bind(model=card.name)
        if fault is not None:
            self._log.error("engine.failed", reason=fault)
        elif reasons := doubts(card, options, threads=options.threads or default_threads()):
            self._log.info("engine.may_fork", reasons=list(reasons))

    def __repr__(self) -> str:
        return f"<LlamaBackend {self._card.name} {self.health().reason or 'ready'}, {self.in_flight} answers>"

    async def __aenter__(self) -> Self:
        self._tasks = await self._stack.enter_async_context(anyio.create_task_group())
        self._holding = Holding(self._holder, self._in_use, self._tasks)
        self._stack.callback(self._tasks.cancel_scope.cancel)
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._stack.aclose()

    def models(self) -> tuple[ModelCard, ...]:
        """Return the model's card, read from the file's head."""
        return (self._card,)

    def health(self) -> Health:
        """Return whether the engine is loaded, or how far it is, or why it failed."""
        if self._failed is not None:
            return Health(ready=False, reason=self._failed, permanent=True)
        if self._moving and self._try is not None:
            progress = self._try.placed.health().progress
            return Health(ready=False, reason="being moved to another split", progress=progress)
        placed = self._current or (self._try.placed if self._try else None)
        return placed.health() if placed is not None else Health(ready=False, reason=self._reason)

    @property
    def in_flight(self) -> int:
        """Return how many requests engines have not finished with."""
        return sum(placed.engine.in_flight for placed in self._live)

    @property
    def engines(self) -> int:
        """Return how many engines there are: more than one while the model moves."""
        return len(self._live)

    @property
    def pid(self) -> int | None:
        """Return the engine's process, None while there is none."""
        placed = self._current or (self._try.placed if self._try else None)
        return placed.engine.child.pid if placed is not None else None

    def kill(self) -> None:
        """Kill the engine's process; a new one follows."""
        placed = self._current or (self._try.placed if self._try else None)
        if placed is not None:
            placed.engine.child.kill()

    async def load(self, plan: SplitPlan) -> None:
        """Load by *plan*: beside the engine that answers if there is room, else in its place.

        Answers of the old engine get a little time, and then fail with Starting, so that they are carried over.
        What is loaded by an equal plan is kept.  A newer plan ends an older one that is not loaded yet.
        """
        if self._tasks is None:
            raise EngineError(f"the backend of {self._card.name!r} is not open")
        if self._failed is not None:
            raise EngineError(self._failed)
        wanted = Placed(self._model, plan, self._holding, self._in_use, repack=self._repack(plan))
        under_way, current = self._try, self._current
        if under_way is None and current is not None and current.key == wanted.key:
            await self._settle(current)
            return
        if under_way is None or under_way.placed.key != wanted.key:
            older, under_way = under_way, _Try(wanted)
            self._try = under_way
            if older is not None:
                older.placed.stop()
            self._live.append(wanted)
            self._tasks.start_soon(self._serve, under_way, older)
        await self._wait(under_way)

    @asynccontextmanager
    async def generate(self, request: GenerateRequest) -> AsyncGenerator[AsyncIterator[Delta]]:
        """Let the engine write an answer; leaving tells it to stop."""
        async with self._asking(request.model, partial(Generate, request=request)) as answer:
            deltas = answer.deltas()
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

    def _repack(self, plan: SplitPlan) -> bool:
        """Return whether weights may be rearranged: not once the model was split, for answers must go on as begun."""
        self._ever_split = self._ever_split or bool(plan.workers)
        return not (self._ever_split and self._model.options.exact)

    async def _settle(self, current: Placed) -> None:
        await current.settle()
        if self._failed is not None:
            raise EngineError(self._failed)

    async def _wait(self, under_way: _Try) -> None:
        """Wait for what comes of a load; the last who leaves early ends it, and leaves nothing behind."""
        under_way.askers += 1
        try:
            await under_way.done.wait()
        finally:
            under_way.askers -= 1
            if not under_way.askers and not under_way.done.is_set():
                under_way.placed.stop()
                with anyio.CancelScope(shield=True):
                    await under_way.placed.ended.wait()
        if under_way.error is not None:
            raise under_way.error

    async def _serve(self, under_way: _Try, older: _Try | None) -> None:
        """Load what *under_way* wants, put it in the place of what there is, and keep it loaded."""
        placed = under_way.placed
        try:
            with placed.scope:
                if older is not None:
                    await older.placed.ended.wait()
                async with placed.engine.child as child:
                    try:
                        await self._make_way(placed)
                        await placed.bring_up()
                        self._take_over(under_way)
                        await placed.keep()
                    finally:
                        placed.engine.finish(Starting(f"{self._card.name!r} is being moved to another split"))
                        child.kill()  # it has nothing to put in order, and may hang
        except SwarmgateError as error:
            self._give_up(under_way, error)
        finally:
            with anyio.CancelScope(shield=True):
                await self._clear_up(under_way)

    def _give_up(self, under_way: _Try, error: SwarmgateError) -> None:
        self._log.error("engine.failed", reason=str(error))
        permanent = isinstance(error, EngineError) and (not self._ever_ready or under_way.placed is self._current)
        self._failed = str(error) if permanent else None
        self._reason = str(error)
        if not isinstance(error, Unavailable) and not permanent:
            error = Unavailable(str(error))
        under_way.error = error

    async def _clear_up(self, under_way: _Try) -> None:
        placed = under_way.placed
        self._live.remove(placed)
        if self._current is placed:
            self._current = None
        placed.end()
        if self._try is under_way:
            self._try, self._moving = None, False
        if not under_way.done.is_set():
            under_way.error = under_way.error or Unavailable(
                f"{self._card.name!r} is not loaded by this plan: another took its place"
            )
            under_way.done.set()
            self._reason = str(under_way.error)
        await self._holding.keep_only([worker for live in self._live for worker in live.arguments.workers])

    async def _make_way(self, placed: Placed) -> None:
        """Have everything ready that can be had before anything is taken from the engine that answers."""
        await self._holding.take(placed.arguments.workers)
        await placed.engine.awake()
        others = [live for live in self._live if live is not placed]
        beside = await self._fits_beside(placed)
        leaving = [
            live
            for live in others
            if not (beside and live.engine.ready and live.endpoints.isdisjoint(placed.endpoints))
        ]
        if leaving:
            self._moving = self._current in leaving
            await self._stop(leaving, _GAP_SECONDS)

    async def _fits_beside(self, placed: Placed) -> bool:
        if not self._live[:-1]:
            return True
        here = sum(part.total for part in layers_of(placed.plan, self._card) if part.worker is None)
        return here <= await free_memory()

    async def _stop(self, leaving: Collection[Placed], seconds: float) -> None:
        """Let *leaving* write on for *seconds*, then end them."""
        with anyio.move_on_after(seconds):
            for placed in leaving:
                await placed.engine.idle()
        for placed in leaving:
            placed.stop()
        for placed in leaving:
            await placed.ended.wait()

    def _take_over(self, under_way: _Try) -> None:
        old, self._current = self._current, under_way.placed
        self._try, self._moving, self._ever_ready = None, False, True
        under_way.done.set()
        if old is not None and self._tasks is not None:
            self._tasks.start_soon(self._stop, [old], _BESIDE_SECONDS)

    @asynccontextmanager
    async def _asking(self, model: str, frame: Callable[[int], Frame]) -> AsyncGenerator[Answer]:
        if model != self._card.name and model not in self._card.aliases:
            raise UnknownModel(f"{model!r} is not served here; this is {self._card.name!r}", param="model")
        health = self.health()
        if self._current is None or not health.ready:
            if health.permanent:
                raise EngineError(health.reason)
            raise Starting(f"{self._card.name!r} is {health.reason}")
        async with self._current.engine.asking(frame) as answer:
            yield answer

    async def _ask(self, kind: type[FrameT], model: str, frame: Callable[[int], Frame]) -> FrameT:
        async with self._asking(model, frame) as answer:
            said = await answer.get()
            if not isinstance(said, kind):
                raise EngineError(f"the engine said {type(said).__name__}, expected {kind.__name__}")
            return said


@asynccontextmanager
async def open_backend(
    options: LlamaOptions, *, holder: str = "", in_use: InUse | None = None, models_dir: Path | None = None
) -> AsyncGenerator[LlamaBackend]:
    """Read the model file's head; the engine starts when it is told to load.

    A file that is no sound GGUF makes a backend that has failed for good: other models are served all the same.
    *holder* is what lenders are told who borrows; *in_use* is shared with whoever looks at workers.  What is not at its
    path is looked for in *models_dir*.

    Raises:
        ConfigError: there is no model to serve, or several could be meant.

    """

    def read() -> tuple[Path, ModelCard, str | None]:
        path = find_model(options.model, models_dir)
        try:
            return path, draw_card(read_gguf(path), options), None
        except EngineError as error:
            return path, ModelCard(name=options.name or plain_name(path), aliases=options.aliases), str(error)

    path, card, fault = await anyio.to_thread.run_sync(read)
    async with LlamaBackend(options, path, card, fault=fault, holder=holder, in_use=in_use) as backend:
        yield backend
