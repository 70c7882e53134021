"""From the crew to loaded models: decide who gets what, load it, and load it anew when that changes."""

from __future__ import annotations

import math
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

import anyio
import msgspec
import structlog
from anyio.abc import TaskGroup

from swarmgate.allotment import Decision, Key, Wish, allot, available, computing_here, placed, same, stands
from swarmgate.background import background
from swarmgate.contracts import Backend, Splitter
from swarmgate.errors import SwarmgateError, Unavailable
from swarmgate.nouns import Health, Worker
from swarmgate.roster import ModelState, Placed
from swarmgate.sizes import numberless
from swarmgate.split import OnChange, Placement, SplitPlan

#: How long after a load that failed for now it is tried again, in seconds; doubling.
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 30.0
#: How often it is looked again whether a model that fits nowhere fits now, in seconds.
_LOOK_AGAIN_SECONDS = 5.0
#: So many failures of a plan are taken for chance; after them its workers are left out in turn.
_FAILURES_IN_GOOD_FAITH = 2


@dataclass(eq=False, slots=True)
class Load:
    """One backend's model on its way: the *plan* in force, the one *coming*, or why there is none.

    *failed* is for good, *waiting* for now.
    """

    name: str
    backend: Backend
    plan: SplitPlan | None = None
    coming: SplitPlan | None = None
    waiting: str | None = None
    failed: str | None = None
    considered: frozenset[Key] | None = None
    failures: int = 0
    failed_with: tuple[Worker, ...] = ()
    retry_at: float = 0.0
    scope: anyio.CancelScope | None = field(default=None, repr=False)
    #: One for each order to load that the backend has yet to come back from.
    under_way: list[anyio.Event] = field(default_factory=list[anyio.Event], repr=False)

    @property
    def latest(self) -> SplitPlan | None:
        """Return the plan that is to be in force."""
        return self.coming or self.plan

    def health(self) -> Health:
        """Return how the backend does, and what keeps it from being loaded where it cannot know that itself."""
        health = self.backend.health()
        if health.ready or health.permanent:
            return health
        if self.failed is not None:
            return Health(ready=False, reason=self.failed, permanent=True)
        return Health(ready=False, reason=self.waiting) if self.waiting is not None else health

    def state(self) -> ModelState:
        """Return the same in a word."""
        health = self.health()
        if health.ready:
            return "loaded"
        if health.permanent:
            return "failed"
        return "loading" if self.waiting is None else "waiting"


class Loading:
    """Loads the models of all backends by what *splitter* plans for the crew at hand.

    *here* measures this machine's free memory in bytes, and *limit* is the most of it that models may have.  What
    fits here is loaded before anybody knows who else is there.  A model that lost a worker is loaded anew at once, by
    a plan for those who are left; with *on_change* ``reload`` also one that could be divided otherwise since somebody
    joined.  An equal plan changes nothing.
    """

    def __init__(
        self,
        splitter: Splitter,
        here: Callable[[], Awaitable[int]],
        *,
        limit: int | None = None,
        placement: Placement = "auto",
        on_change: OnChange = "reload",
    ) -> None:
        self.loads: list[Load] = []
        self._splitter, self._here = splitter, here
        self._limit = sys.maxsize if limit is None else limit
        self._placement: Placement = placement
        self._on_change = on_change
        self._crew: tuple[Worker, ...] | None = None
        self._news = anyio.Event()
        self._log = structlog.get_logger("swarmgate.loading")

    def __repr__(self) -> str:
        return f"<Loading of {', '.join(load.name for load in self.loads)}>"

    def add(self, name: str, backend: Backend) -> Load:
        """Load the model of *backend* as well; return what becomes of that."""
        load = Load(name, backend)
        self.loads.append(load)
        self._stir()
        return load

    async def remove(self, load: Load) -> None:
        """Look after *load* no longer; what is being loaded is given up, and has ended when this returns."""
        self.loads.remove(load)
        self._stop(load)
        for order in tuple(load.under_way):
            await order.wait()
        self._stir()

    def tell(self, crew: tuple[Worker, ...]) -> None:
        """Say who is there; only the latest counts."""
        self._crew = crew
        self._stir()

    def placed(self) -> tuple[Placed, ...]:
        """Return where every model is."""
        return tuple(
            Placed(
                backend=load.name,
                model=card.name,
                placement=card.placement or self._placement,
                plan=load.plan,
                coming=load.coming,
                waiting=load.waiting or load.failed or "",
                state=load.state(),
            )
            for load in self.loads
            for card in load.backend.models()
        )

    def holders(self) -> Mapping[Key, str]:
        """Return which model has which worker, by the offer's key."""
        return {
            worker.offer.key: card.name
            for load in self.loads
            for plan in (load.plan, load.coming)
            if plan is not None
            for worker in plan.workers
            for card in load.backend.models()[:1]
        }

    async def run(self) -> None:
        """Load whenever there is something to load, until cancelled."""
        async with background() as tasks:
            while True:
                news = self._news
                await self._decide(tasks)
                with anyio.move_on_after(self._pause()):
                    await news.wait()

    async def _decide(self, tasks: TaskGroup) -> None:
        crew = self._crew or ()
        here = await self._budget()
        now = anyio.current_time()
        open_loads = self._hopeful()
        wishes = {load.name: wish for load in open_loads if (wish := self._wish(load, crew, now)) is not None}
        for name, decision in allot(list(wishes.values()), here, crew, self._splitter).items():
            load = next(load for load in open_loads if load.name == name)
            self._act(load, wishes[name], decision, crew, tasks)
        for load in open_loads:
            if load.name not in wishes and load.latest is None and now >= load.retry_at:
                self._begin(load, SplitPlan(reason="there is no model to be divided"), tasks)

    def _hopeful(self) -> list[Load]:
        """Return those that have not failed for good."""
        return [load for load in self.loads if load.failed is None and not load.backend.health().permanent]

    async def _budget(self) -> int:
        """Return how many bytes of this machine all models together may take."""
        loaded = sum(computing_here(load.plan) for load in self.loads if load.plan is not None)
        return min(await self._here() + loaded, self._limit)

    def _wish(self, load: Load, crew: Sequence[Worker], now: float) -> Wish | None:
        """Return what *load* needs; None where the backend has no model yet, or had better rest."""
        if load.latest is None and now < load.retry_at:
            return None
        for card in load.backend.models()[:1]:
            wish = Wish(name=load.name, card=placed(card, self._placement), held=load.latest, without=_suspects(load))
            return msgspec.structs.replace(wish, fixed=self._keeps(load, wish, crew))
        return None

    def _keeps(self, load: Load, wish: Wish, crew: Sequence[Worker]) -> bool:
        """Return whether *load* stays as it is, whoever else is there."""
        if wish.held is None or not stands(wish.held, crew):
            return False
        if load.coming is not None or self._on_change == "keep":
            return True
        at_home = not wish.held.workers and wish.card.placement != "split"
        return at_home or not self._newcomers(load, wish, crew)

    def _newcomers(self, load: Load, wish: Wish, crew: Sequence[Worker]) -> bool:
        """Return whether somebody could be had for *wish* who was not there when its plan was made."""
        others = [other.latest for other in self.loads if other is not load and other.latest is not None]
        taken = frozenset(worker.offer.key for plan in others for worker in plan.workers)
        keys = {worker.offer.key for worker in available(wish, crew, taken)}
        return load.considered is None or not keys <= load.considered

    def _act(self, load: Load, wish: Wish, decision: Decision, crew: Sequence[Worker], tasks: TaskGroup) -> None:
        if wish.fixed:
            return
        if isinstance(decision, Unavailable):
            load.failures += bool(wish.without)  # somebody else is under suspicion then
            self._wait(load, f"{decision}{self._lent(crew)}", crew)
            return
        load.considered = frozenset(worker.offer.key for worker in crew)
        if same(decision, load.latest):
            return
        self._begin(load, decision, tasks)

    def _lent(self, crew: Sequence[Worker]) -> str:
        """Return who of *crew* is not to be had because somebody else has them, for the end of a refusal."""
        ours = self.holders()
        lent = [
            f"{worker.offer.name} (lent to {holder!r})"
            for worker in crew
            if (holder := worker.offer.labels.get("leased_by")) and worker.offer.key not in ours
        ]
        return f"; not to be had: {', '.join(lent)}" if lent else ""

    def _wait(self, load: Load, reason: str, crew: Sequence[Worker]) -> None:
        """Note that there is no plan for *load*; one that lost a worker is not loaded any more."""
        if self._crew is None and load.latest is None:
            return  # nobody has been asked yet
        if load.latest is not None and stands(load.latest, crew):
            return  # what is there goes on
        if numberless(load.waiting or "") != numberless(reason):  # how much is free changes all the time
            self._log.warning("loading.waits", part=load.name, reason=reason)
        load.waiting, load.plan, load.considered = reason, None, None
        self._stop(load)

    def _begin(self, load: Load, plan: SplitPlan, tasks: TaskGroup) -> None:
        self._stop(load)
        load.coming, load.waiting = plan, None
        load.scope = anyio.CancelScope()
        order = anyio.Event()
        load.under_way.append(order)
        tasks.start_soon(self._load, load, plan, load.scope, order)

    @staticmethod
    def _stop(load: Load) -> None:
        if load.scope is not None:
            load.scope.cancel()
        load.coming = load.scope = None

    async def _load(self, load: Load, plan: SplitPlan, scope: anyio.CancelScope, order: anyio.Event) -> None:
        try:
            await self._order(load, plan, scope)
        finally:
            load.under_way.remove(order)
            order.set()

    async def _order(self, load: Load, plan: SplitPlan, scope: anyio.CancelScope) -> None:
        began = anyio.current_time()
        log = self._log.bind(part=load.name)
        with scope:
            log.info("loading.began", workers=[worker.offer.name for worker in plan.workers], reason=plan.reason)
            try:
                await load.backend.load(plan)
            except Unavailable as error:
                self._retry(load, plan, str(error))
            except SwarmgateError as error:
                self._fail(load, str(error))
            except Exception as error:  # noqa: BLE001  # a backend's own fault must not take the house down
                self._fail(load, f"load raised {type(error).__name__}: {error}")
            else:
                load.plan, load.coming, load.failures = plan, None, 0
                load.failed_with = ()
                log.info("loading.done", seconds=round(anyio.current_time() - began, 2))
            self._stir()

    def _retry(self, load: Load, plan: SplitPlan, reason: str) -> None:
        pause = min(_FIRST_PAUSE * 2.0**load.failures, _LONGEST_PAUSE)
        load.failures += 1
        load.retry_at = anyio.current_time() + pause
        load.waiting, load.plan, load.coming, load.considered = reason, None, None, None
        if len(plan.workers) >= len(load.failed_with):  # a plan that left a suspect out clears nobody
            load.failed_with = plan.workers
        self._log.warning("loading.postponed", part=load.name, reason=reason, seconds=pause)

    def _fail(self, load: Load, reason: str) -> None:
        load.failed, load.coming = reason, None
        self._log.error("loading.failed", part=load.name, reason=reason)

    def _pause(self) -> float:
        """Return after how many seconds it is to be looked again, whatever happens."""
        missing = [load for load in self._hopeful() if load.latest is None]
        now = anyio.current_time()
        waits = [max(load.retry_at - now, 0.0) or _LOOK_AGAIN_SECONDS for load in missing]
        return min(waits, default=math.inf)

    def _stir(self) -> None:
        self._news.set()
        self._news = anyio.Event()


def _suspects(load: Load) -> frozenset[Key]:
    """Return whom to do without for once: where a split keeps failing, each worker in turn may be the cause."""
    turn = load.failures - _FAILURES_IN_GOOD_FAITH
    if turn < 0 or not load.failed_with:
        return frozenset()
    left_out = load.failed_with[turn % (len(load.failed_with) + 1) :][:1]
    return frozenset(worker.offer.key for worker in left_out)
