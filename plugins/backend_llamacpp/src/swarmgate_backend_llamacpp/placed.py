"""One engine loaded by one plan, and kept so: what dies is loaded again by the same plan."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import structlog
from swarmgate.api import Endpoint, EngineError, Health, ModelCard, SplitPlan, Unavailable

from swarmgate_backend_llamacpp.engine_child import EngineChild, Outcome
from swarmgate_backend_llamacpp.holding import Holding
from swarmgate_backend_llamacpp.layout import SplitArguments, split_arguments
from swarmgate_backend_llamacpp.messages import Load, RemotePart
from swarmgate_backend_llamacpp.options import LlamaOptions
from swarmgate_backend_llamacpp.rpc.in_use import InUse

#: An engine that dies this often before it was ever ready will not become ready by dying again; where workers take
#: part, others may do better.
_MOST_DEATHS, _MOST_DEATHS_SPLIT = 5, 3
#: How long to wait before a worker that is gone is tried again, in seconds: doubling.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0


@dataclass(frozen=True, slots=True)
class Model:
    """What is to be loaded, whatever the plan."""

    path: Path
    card: ModelCard
    options: LlamaOptions


@dataclass(slots=True, eq=False)
class Placed:
    """An engine, the plan it is loaded by, and what it needs of others."""

    model: Model
    plan: SplitPlan
    holding: Holding
    in_use: InUse
    repack: bool
    engine: EngineChild = field(init=False)
    arguments: SplitArguments = field(init=False)
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope, init=False)
    ended: anyio.Event = field(default_factory=anyio.Event, init=False)
    refusal: str = field(default="", init=False)
    _connected: frozenset[Endpoint] = field(default_factory=frozenset[Endpoint], init=False)
    _news: anyio.Event = field(default_factory=anyio.Event, init=False)

    def __post_init__(self) -> None:
        """Work out who gets what; nothing starts yet."""
        self.engine = EngineChild(self.model.card.name)
        self.arguments = split_arguments(self.plan, self.model.card)

    def __repr__(self) -> str:
        return f"<Placed {self.engine} over {len(self.arguments.workers)} workers>"

    @property
    def endpoints(self) -> frozenset[Endpoint]:
        """Return where its workers are."""
        return frozenset(worker.endpoint for worker in self.arguments.workers)

    @property
    def key(self) -> tuple[tuple[Endpoint, float], ...]:
        """Return what makes two plans the same to an engine."""
        return tuple(
            (worker.endpoint, units)
            for worker, units in zip(self.arguments.workers, self.arguments.tensor_split, strict=True)
        )

    def health(self) -> Health:
        """Return whether it is loaded, or how far it is, or what keeps it from loading."""
        return self.engine.health()

    async def bring_up(self) -> None:
        """Load for the first time.

        Raises:
            Unavailable: not by this plan, or not now; the message says why.
            EngineError: the model cannot be loaded, and no worker is to blame.

        """
        split = bool(self.arguments.workers)
        most = _MOST_DEATHS_SPLIT if split else _MOST_DEATHS
        name, outcome = self.model.card.name, Outcome("died")
        for _ in range(most):
            await self.holding.take(self.arguments.workers)
            outcome = await self._load()
            if outcome.kind == "ready":
                return
            if outcome.kind == "lost":
                raise Unavailable(outcome.reason)
            self._leave()
            if outcome.kind == "failed":
                raise (
                    Unavailable(f"{name!r} cannot be loaded so: {outcome.reason}")
                    if split
                    else EngineError(outcome.reason)
                )
        reason = f"the engine died {most} times before it was ready; at last it {outcome.reason}"
        raise Unavailable(f"{name!r} cannot be loaded so: {reason}") if split else EngineError(reason)

    async def keep(self) -> None:
        """Load again whatever dies, until cancelled.

        Raises:
            EngineError: it cannot be loaded any more, and no worker is to blame.

        """
        log = structlog.get_logger("swarmgate.llamacpp").bind(model=self.model.card.name)
        while True:
            outcome = await self._first(self.engine.fallen, self._lost)
            pause = _FIRST_PAUSE
            while outcome.kind != "ready":
                log.warning("engine.fell", reason=outcome.reason)
                if outcome.kind == "failed" and not self.arguments.workers:
                    raise EngineError(outcome.reason)
                if outcome.kind in {"lost", "failed"}:
                    await self._clear(outcome.reason)
                self._leave()
                try:
                    await self.holding.take(self.arguments.workers)
                except Unavailable as error:
                    self.refusal = self.engine.reason = str(error)
                    self._stir()
                    outcome = Outcome("refused", str(error))
                else:
                    self.refusal = ""
                    outcome = await self._load()
                if outcome.kind != "ready":
                    await anyio.sleep(pause)
                    pause = min(pause * 2, _LONGEST_PAUSE)
            self._stir()

    async def settle(self) -> None:
        """Wait until what died is loaded again.

        Raises:
            Unavailable: it cannot be, for want of a worker.

        """
        self.refusal = ""
        while not self.engine.ready and not self.ended.is_set():
            if self.refusal:
                raise Unavailable(self.refusal)
            await self._news.wait()

    def stop(self) -> None:
        """Begin to end it; :attr:`ended` tells when it has."""
        self.scope.cancel()

    def end(self) -> None:
        """Note that it has ended."""
        self._leave()
        self.ended.set()
        self._stir()

    async def _load(self) -> Outcome:
        """Order the engine to load, its workers being ours, and return what came of it."""
        arguments = self.arguments
        parts = tuple(
            RemotePart(
                address=self.holding.address(worker), units=int(units), watched=self.holding.keeps_leases(worker)
            )
            for worker, units in zip(arguments.workers, arguments.tensor_split, strict=True)
        )
        self._leave()
        self._connected = frozenset(
            worker.endpoint for worker in arguments.workers if not self.holding.keeps_leases(worker)
        )
        self.in_use.enter(self._connected)
        model = self.model
        await self.engine.order(Load(str(model.path), model.card, model.options, parts, self.repack))
        return await self._first(self.engine.settled, self._lost)

    def _leave(self) -> None:
        self.in_use.leave(self._connected)
        self._connected = frozenset()

    async def _clear(self, why: str) -> None:
        """End the process, which may hang or hold what failed; another waits for the next order."""
        self.engine.kill(why)
        await self.engine.fallen()

    async def _lost(self) -> Outcome:
        return await self.holding.lost(self.arguments.workers)

    async def _first(self, *waits: Callable[[], Awaitable[Outcome]]) -> Outcome:
        outcomes: list[Outcome] = []

        async def wait_for(wait: Callable[[], Awaitable[Outcome]]) -> None:
            outcomes.append(await wait())
            tasks.cancel_scope.cancel()

        async with anyio.create_task_group() as tasks:
            for wait in waits:
                tasks.start_soon(wait_for, wait)
        return outcomes[0]

    def _stir(self) -> None:
        self._news.set()
        self._news = anyio.Event()
