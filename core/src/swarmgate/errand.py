"""One request on its way: whom to ask next, and what came of those who were asked."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

import anyio
import msgspec
import structlog

from swarmgate.attempts import Attempt
from swarmgate.breaker import Breakers
from swarmgate.contracts import Balancer
from swarmgate.decisions import Decision, Hindrance
from swarmgate.errors import (
    PASSING,
    Hung,
    NoCandidate,
    PluginError,
    RequestError,
    Starting,
    SwarmgateError,
    Unreachable,
)
from swarmgate.nouns import Candidate, Demand, Pick
from swarmgate.places import Place
from swarmgate.shadow import Shadow
from swarmgate.tallies import Tallies
from swarmgate.ways import preferred

T = TypeVar("T")
_DOUBLINGS = 5
#: So many pieces after a failure it is forgotten.
_FORGIVEN_AFTER = 8
#: Decisions kept of one request; a place that goes on saying that it starts is asked many times.
_DECISIONS = 32
#: Hindrances that may pass while a request waits.
_PASSING_BY: frozenset[Hindrance] = frozenset({"not ready", "resting"})


@dataclass(slots=True)
class Route:
    """What became of one request, filled in along its way, also when it fails.

    *model* is the card's name, whatever alias was asked for; *worker* is the backend that
    answered last, or the node behind it; *attempts* counts the backends asked, *resumed* how often a begun answer was
    carried on, *hung* how often a backend was given up because it said nothing, *hedged* how often another was asked
    beside it; *reason* is the last failure on the way.  *decisions* are one for each attempt, in
    order (the last 32), and one more if the request was given up because nobody was left to ask.  *place* returns
    its place among those who wait for a slot, 0 while it does not wait.
    """

    model: str = ""
    worker: str = ""
    attempts: int = 0
    resumed: int = 0
    hung: int = 0
    hedged: int = 0
    queue_seconds: float = 0.0
    reason: str = ""
    decisions: list[Decision] = field(default_factory=list[Decision])
    place: Callable[[], int] = int


@dataclass(frozen=True, slots=True)
class Patience:
    """When to give up: after so many failures, and after so many seconds without anybody to ask.

    Waiting is as long as *seconds* before the first piece of an answer, *resume_seconds* after it.
    """

    failures: int = 3
    seconds: float = 60.0
    resume_seconds: float = 30.0
    poll_seconds: float = 0.05


@dataclass(slots=True)
class Errand:
    """Carries one request from backend to backend until it is answered or nobody is left.

    *places* returns those that serve the model, or raises why none ever will.  *relayed* says that
    another gateway sent the request.
    """

    demand: Demand
    places: Callable[[], tuple[Place, ...]]
    balancer: Balancer
    tallies: Tallies
    patience: Patience
    route: Route = field(default_factory=Route)
    relayed: bool = False
    shadow: Shadow | None = None
    breakers: Breakers = field(default_factory=Breakers)
    _spent: set[str] = field(default_factory=set[str], init=False)
    _failures: int = field(default=0, init=False)
    _refusals: dict[str, tuple[int, float]] = field(default_factory=dict[str, tuple[int, float]], init=False)
    _last: SwarmgateError | None = field(default=None, init=False)
    _give_up_at: float = field(default=math.inf, init=False)
    _pieces: int = field(default=0, init=False)
    _loaded: dict[str, float] = field(default_factory=dict[str, float], init=False)

    async def choose(
        self, fits: Callable[[Place], bool] = lambda _: True, *, begun: bool = False
    ) -> tuple[Place, Candidate]:
        """Return whom to ask next of those that *fits*; wait for one to become ready, if one may.

        Whoever failed and is ready all the same is not asked again.  A *begun* answer waits on for as long as
        somebody who could go on with it comes nearer to being loaded.

        Raises:
            NoCandidate: nobody became ready in time.
            PluginError: the balancer picked none of those it was given.
            SwarmgateError: the last failure, if nobody is left who could do better.

        """
        now = anyio.current_time()
        if self._give_up_at == math.inf:
            self._give_up_at = now + (self.patience.resume_seconds if begun else self.patience.seconds)
        while True:
            places = self.places()
            able, sound, hindered = self._sifted(places, fits, now)
            if sound:  # where all are broken, any of them is better than none
                hindered |= dict.fromkeys(able.keys() - sound.keys(), "broken")
                able = sound
            if able:
                candidate = self._pick(able, hindered, now)
                return able[candidate.name], candidate
            fitting = [place for place in places if hindered.get(place.name) in _PASSING_BY]
            if begun and self._comes_nearer(fitting):
                self._give_up_at = now + self.patience.resume_seconds
            waited_out = now >= self._give_up_at
            if waited_out or (self._last is not None and not fitting):
                error = self._why_given_up(waited_out=waited_out and bool(fitting))
                self._decide(Decision(chosen="", reason=str(error), hindered=tuple(hindered.items())))
                raise error
            await anyio.sleep(self.patience.poll_seconds)
            now = anyio.current_time()

    def another(self, asked: str) -> tuple[Place, Candidate] | None:
        """Return whom to ask for the same beside the place called *asked*: one with a free slot, None if nobody has."""
        now = anyio.current_time()
        able, sound, hindered = self._sifted(self.places(), lambda _: True, now)
        free = {
            name: place
            for name, place in sound.items()
            if name != asked and self.tallies.in_flight(name) < max(place.card.slots, 1)
        }
        hindered |= dict.fromkeys(able.keys() - sound.keys(), "broken")
        hindered |= dict.fromkeys(sound.keys() - free.keys(), "busy")
        if not free:
            return None
        hindered[asked] = "silent"
        candidate = self._pick(free, hindered, now)
        self.route.hedged += 1
        return free[candidate.name], candidate

    @contextmanager
    def attempt(self, place: Place, candidate: Candidate, *, resumed: bool = False) -> Generator[Attempt]:
        """Count the try at *place* while it lasts, and report its outcome to the balancer, once.

        *resumed* says that the place is to go on with a begun answer.  A passing failure is swallowed as
        long as another try may help.
        """
        began, failed = anyio.current_time(), False
        outcome: bool | None = None
        breaker = self.breakers.of(place.name)
        breaker.begin()
        attempt = Attempt(self.tallies, self.tallies.begin(place, self.demand, began, resumed=resumed))
        self.route.worker = place.card.node or place.name
        self.route.attempts += 1
        try:
            yield attempt
            outcome = False
        except PASSING as error:
            failed = True
            self.route.hung += isinstance(error, Hung)
            outcome = None if isinstance(error, Starting) else True  # whoever is being restarted says so by its health
            if attempt.finished:
                self._note(place, error)
            else:
                self._consider(place, error)
        except RequestError:
            outcome = False
            raise
        except Exception as error:
            failed = outcome = True
            self._note(place, error)
            if isinstance(error, SwarmgateError):
                raise
            raise PluginError(f"backend {place.name!r} raised {type(error).__name__}: {error}") from error
        finally:
            if attempt.lost:
                failed = outcome = True
                self._spent.add(place.name)
            now = anyio.current_time()
            self.tallies.end(attempt.entry, now, failed=failed)
            breaker.end(now, failed=outcome)
            self._report(candidate, now - began, failed=failed)

    async def run(self, ask: Callable[[Place], Awaitable[T]]) -> T:
        """Return what *ask* gets from the first place that does not fail."""
        while True:
            place, candidate = await self.choose()
            with self.attempt(place, candidate) as attempt:
                answer = await ask(place)
                attempt.answered()
                return answer

    def progress(self) -> None:
        """Learn that the answer has moved on: the next failure has all the time again.

        When it has moved on for a while, earlier failures are forgotten: a long answer may outlive many engines, and
        one that kills whatever touches it does not get so far.
        """
        self._give_up_at = math.inf
        self._pieces += 1
        if self._pieces >= _FORGIVEN_AFTER:
            self._failures = 0
            self._spent.clear()

    def _comes_nearer(self, places: Iterable[Place]) -> bool:
        """Return whether one of *places* has more of its model loaded than when it was last looked at."""
        nearer = False
        for place in places:
            if place.health.progress is not None:
                nearer |= place.health.progress > self._loaded.get(place.name, -1.0)
                self._loaded[place.name] = place.health.progress
        return nearer

    def _sifted(
        self, places: Iterable[Place], fits: Callable[[Place], bool], now: float
    ) -> tuple[dict[str, Place], dict[str, Place], dict[str, Hindrance]]:
        """Return which of *places* can be asked, which of them are not broken either, and what hinders the others."""
        able: list[Place] = []
        hindered: dict[str, Hindrance] = {}
        for place in places:
            hindrance = self._hindrance(place, fits, now)
            if hindrance is None:
                able.append(place)
            else:
                hindered[place.name] = hindrance
        best = {place.name: place for place in preferred(able, relayed=self.relayed)}
        hindered |= {place.name: "longer way" for place in able if place.name not in best}
        sound = {name: place for name, place in best.items() if self.breakers.of(name).admits(now)}
        return best, sound, hindered

    def _hindrance(self, place: Place, fits: Callable[[Place], bool], now: float) -> Hindrance | None:
        """Return why *place* cannot be asked now, None if it can."""
        if place.health.ready and place.name in self._spent:
            return "spent"
        if not fits(place):
            return "wrong weights"
        if not place.health.ready:
            return "not ready"
        return None if self._rested(place.name, now) else "resting"

    def _why_given_up(self, *, waited_out: bool) -> SwarmgateError:
        """Return the last failure, or where nobody could be reached while others were waited for, that."""
        if self._last is not None and not (waited_out and isinstance(self._last, Unreachable)):
            return self._last
        last = "" if self._last is None else f"; the last to be asked: {self._last}"
        return NoCandidate(f"nobody who serves {self.demand.model!r} became ready in time{last}")

    def _rested(self, name: str, now: float) -> bool:
        """Return whether *name* may be asked: after each refusal it is left alone for twice as long."""
        refusals, last = self._refusals.get(name, (0, -math.inf))
        return now - last >= self.patience.poll_seconds * 2 ** min(refusals, _DOUBLINGS)

    def _pick(self, able: dict[str, Place], hindered: dict[str, Hindrance], now: float) -> Candidate:
        candidates = [self._candidate(place, now) for place in able.values()]
        who = type(self.balancer).__name__
        try:
            pick = self.balancer.pick(self.demand, candidates)
        except Exception as error:
            raise PluginError(f"balancer {who} raised {type(error).__name__}: {error}") from error
        if not isinstance(pick, Pick):  # pyright: ignore[reportUnnecessaryIsInstance]  # what plugins return is not checked
            raise PluginError(f"balancer {who} returned a {type(pick).__name__}, expected a Pick of one candidate")
        candidate = pick.candidate
        if candidate not in candidates:
            raise PluginError(
                f"balancer {who} picked {candidate!r}, which is none of the {len(candidates)} candidates it was given"
            )
        shadow = "" if self.shadow is None else self.shadow.compare(self.demand, candidates, candidate)
        self._decide(
            Decision(
                chosen=candidate.name,
                reason=pick.reason if len(candidates) > 1 else "only candidate",
                candidates=tuple(candidates),
                scores=pick.scores if len(pick.scores) == len(candidates) else (),
                hindered=tuple(hindered.items()),
                shadow=shadow,
            )
        )
        return candidate

    def _candidate(self, place: Place, now: float) -> Candidate:
        """Return *place* as the balancer sees it; one that has just come back has fewer slots for a while."""
        candidate = self.tallies.candidate(place, now, self.demand)
        share = self.breakers.of(place.name).share(now)
        if share == 1:
            return candidate
        return msgspec.structs.replace(candidate, slots=max(math.ceil(candidate.slots * share), 1))

    def _decide(self, decision: Decision) -> None:
        self.route.decisions.append(decision)
        del self.route.decisions[:-_DECISIONS]

    def _consider(self, place: Place, error: SwarmgateError) -> None:
        """Raise *error*, if it was the last straw; remember it otherwise."""
        self._note(place, error)
        self._last = error
        if isinstance(error, Starting):
            refusals, _ = self._refusals.get(place.name, (0, 0.0))
            self._refusals[place.name] = refusals + 1, anyio.current_time()
            return  # its health has not caught up yet; this cost nothing
        if place.backend.health().ready:
            self._spent.add(place.name)
        if isinstance(error, Unreachable):
            return  # nobody got to see the request, so that it killed nobody; this cost little
        self._give_up_at = math.inf
        self._failures += 1
        self._pieces = 0
        self._loaded.clear()
        if self._failures >= self.patience.failures:
            raise error

    def _note(self, place: Place, error: Exception) -> None:
        self.route.reason = str(error)
        log = structlog.get_logger("swarmgate.dispatch")
        log.warning(
            "dispatch.attempt_failed",
            part=place.name,
            model=place.card.name,
            reason=str(error),
            attempt=self.route.attempts,
        )

    def _report(self, candidate: Candidate, seconds: float, *, failed: bool) -> None:
        if self.shadow is not None:
            self.shadow.observe(candidate, seconds=seconds, failed=failed)
        try:
            self.balancer.observe(candidate, seconds=seconds, failed=failed)
        except Exception as error:  # noqa: BLE001  # a deaf balancer spoils no answer
            log = structlog.get_logger("swarmgate.dispatch")
            log.error("dispatch.observe_failed", part=type(self.balancer).__name__, reason=repr(error))  # noqa: TRY400  # rendering a traceback reads files
