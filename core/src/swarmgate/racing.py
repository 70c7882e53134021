"""Answers that nobody has begun yet: of one place, and of another beside it if that one is silent for too long.

When that is, and how often it may be, :mod:`swarmgate.hedging` decides; this is the thin shell around it.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from contextvars import copy_context
from dataclasses import dataclass, field

import anyio
import msgspec
from anyio.abc import TaskGroup

from swarmgate.attempts import Attempt
from swarmgate.chat import Delta
from swarmgate.errand import Errand
from swarmgate.errors import RequestError
from swarmgate.hedging import Budget, unexplained_seconds
from swarmgate.nouns import Candidate
from swarmgate.places import Place

#: How often it is looked whether somebody has been silent for too long, in seconds, if that is not even less.
_LOOK_SECONDS = 1.0


@dataclass(slots=True, eq=False)
class Runner:
    """One place that was asked, until it is *over*; the one that *leads* has begun the answer: no other is heard."""

    place: Place
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    attempt: Attempt | None = None
    leads: bool = False
    seed: int | None = None
    over: bool = False


#: Asks the runner's place, which the balancer knows as that candidate.
Run = Callable[[Runner, Candidate], Awaitable[None]]


class Races:
    """All answers that nobody has begun; after *seconds* of unexplained silence another place may be asked.

    With 0 none ever is.
    """

    def __init__(self, *, seconds: float = 0.0, budget: Budget | None = None) -> None:
        self._seconds = seconds
        self._budget = budget or Budget()
        self._open: set[Race] = set()

    def __repr__(self) -> str:
        return f"<Races {len(self._open)} open>"

    def enter(self, race: Race) -> None:
        """Follow *race* until it is decided."""
        self._budget.earn()
        self._open.add(race)

    def leave(self, race: Race) -> None:
        """Follow *race* no longer."""
        self._open.discard(race)

    async def hedge(self) -> None:
        """Have another place asked wherever that is due, until cancelled."""
        if self._seconds <= 0:
            return
        while True:
            await anyio.sleep(min(_LOOK_SECONDS, self._seconds / 4))
            now = anyio.current_time()
            for race in tuple(self._open):
                if race.silent_for(now) >= race.patience(self._seconds) and self._budget.enough and race.hedge():
                    self._budget.spend()


class Race:
    """One answer of *errand*, had by *run* from the place that was chosen, or from another one.

    *tasks* returns where others are asked.
    """

    def __init__(self, races: Races, errand: Errand, run: Run, tasks: Callable[[], TaskGroup | None]) -> None:
        self._races = races
        self._errand = errand
        self._run = run
        self._tasks = tasks
        self._runners: list[Runner] = []
        self._leader: Runner | None = None
        self._failure: Exception | None = None
        self._news: anyio.Event | None = None
        self._context = copy_context()

    def __repr__(self) -> str:
        return f"<Race of {', '.join(runner.place.name for runner in self._runners)}>"

    async def decide(self, place: Place, candidate: Candidate) -> None:
        """Have *place* answer; return when it has, or another one, or all have failed and more may be tried.

        Raises:
            SwarmgateError: nobody is to be asked any more; it says why.

        """
        first = Runner(place)
        self._runners.append(first)
        self._races.enter(self)
        try:
            await self._have_run(first, candidate)
            while not all(runner.over for runner in self._runners):
                self._news = anyio.Event()
                await self._news.wait()
        finally:
            self._races.leave(self)
        if self._failure is not None:
            raise self._failure

    def hears(self, runner: Runner, delta: Delta) -> Delta | None:
        """Return *delta* of *runner* as it shall be taken, or None if another one leads; the first to speak does."""
        if self._leader is not None:
            return delta if runner is self._leader else None
        if delta.seed is not None:
            runner.seed = delta.seed
        if not (delta.text or delta.reasoning or delta.tool_calls or delta.token_ids or delta.finish):
            return delta
        self._leader, runner.leads = runner, True
        self._races.leave(self)
        if len(self._runners) == 1:
            return delta
        self._errand.route.worker = runner.place.card.node or runner.place.name
        for slower in self._runners[: self._runners.index(runner)]:
            if slower.attempt is not None:
                slower.attempt.lost = True
        self._failure = None
        self._stop(runner)
        return delta if runner.seed is None else msgspec.structs.replace(delta, seed=runner.seed)

    def silent_for(self, now: float) -> float:
        """Return for how many seconds the only one that is asked has said nothing; 0 if there are two."""
        runner = self._only()
        return 0.0 if runner is None or runner.attempt is None else now - runner.attempt.entry.began

    def patience(self, least: float) -> float:
        """Return after how many seconds its silence is not explained, at *least* so many; infinity if it always is."""
        runner = self._only()
        if runner is None or runner.attempt is None or runner.attempt.entry.unclear:
            return math.inf
        tallies, entry = runner.attempt.tallies, runner.attempt.entry
        rate, start = tallies.pace(entry)
        tokens = self._errand.demand.prompt_tokens + entry.ahead  # of what it may have held it may have lost all
        return unexplained_seconds(least, tokens=tokens, rate=rate, start=start)

    def hedge(self) -> bool:
        """Ask another place for the same, and return whether there is one."""
        tasks, runner = self._tasks(), self._only()
        found = self._errand.another(runner.place.name) if runner is not None else None
        if tasks is None or found is None:
            return False
        place, candidate = found
        self._runners.append(Runner(place))
        self._context.run(tasks.start_soon, self._have_run, self._runners[-1], candidate)
        return True

    def _only(self) -> Runner | None:
        running = [runner for runner in self._runners if not runner.over]
        return running[0] if len(running) == 1 and self._leader is None else None

    async def _have_run(self, runner: Runner, candidate: Candidate) -> None:
        try:
            with runner.scope:
                await self._run(runner, candidate)
        except Exception as error:  # noqa: BLE001  # raised once it is clear that nobody else answers
            if self._leader in (None, runner) and (runner is self._runners[0] or runner.leads):
                self._failure = error
                if isinstance(error, RequestError):  # the others would say the same
                    self._stop(runner)
        finally:
            runner.over = True
            if self._news is not None:
                self._news.set()

    def _stop(self, but: Runner) -> None:
        for other in self._runners:
            if other is not but:
                other.scope.cancel()
