"""One request on its way: whom to ask next, and what came of those who were asked."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

import anyio
import structlog

from swarmgate.contracts import Balancer
from swarmgate.errors import (
    PASSING,
    NoCandidate,
    PluginError,
    RequestError,
    Starting,
    SwarmgateError,
    Unreachable,
)
from swarmgate.nouns import Candidate, Demand
from swarmgate.places import Place, Tallies
from swarmgate.ways import preferred

T = TypeVar("T")
_DOUBLINGS = 5
#: So many pieces after a failure it is forgotten.
_FORGIVEN_AFTER = 8


@dataclass(slots=True)
class Route:
    """What became of one request, filled in along its way, also when it fails.

    *model* is the card's name, whatever alias was asked for; *worker* is the backend that
    answered last, or the node behind it; *attempts* counts the backends asked, *resumed* how often a begun answer was
    carried on; *reason* is the last failure on the way.
    """

    model: str = ""
    worker: str = ""
    attempts: int = 0
    resumed: int = 0
    queue_seconds: float = 0.0
    reason: str = ""


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
class Attempt:
    """One backend's try at a request; once *finished*, a failure changes nothing for the caller."""

    name: str
    tallies: Tallies
    tokens: int
    finished: bool = False

    def read(self) -> None:
        """Count the prompt as read, once."""
        self.tallies.read(self.name, self.tokens)
        self.tokens = 0


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
        if self._give_up_at == math.inf:
            seconds = self.patience.resume_seconds if begun else self.patience.seconds
            self._give_up_at = anyio.current_time() + seconds
        while True:
            now = anyio.current_time()
            hopeful = [place for place in self.places() if place.name not in self._spent or not place.health.ready]
            fitting = {place.name: place for place in hopeful if fits(place)}
            rested = [place for name, place in fitting.items() if self._rested(name, now)]
            able = {place.name: place for place in preferred(rested, relayed=self.relayed)}
            if able:
                candidate = self._pick(able)
                return able[candidate.name], candidate
            if begun and self._comes_nearer(fitting.values()):
                self._give_up_at = now + self.patience.resume_seconds
            waited_out = now >= self._give_up_at
            if self._last is not None and (not fitting or (waited_out and not isinstance(self._last, Unreachable))):
                raise self._last
            if waited_out:
                last = "" if self._last is None else f"; the last to be asked: {self._last}"
                raise NoCandidate(f"nobody who serves {self.demand.model!r} became ready in time{last}")
            await anyio.sleep(self.patience.poll_seconds)

    @contextmanager
    def attempt(self, place: Place, candidate: Candidate) -> Generator[Attempt]:
        """Count the try at *place* while it lasts, and report its outcome to the balancer, once.

        A passing failure is swallowed as long as another try may help.
        """
        began, failed = anyio.current_time(), False
        attempt = Attempt(place.name, self.tallies, self.demand.prompt_tokens)
        self.route.worker = place.card.node or place.name
        self.route.attempts += 1
        self.tallies.begin(place.name, attempt.tokens)
        try:
            yield attempt
        except PASSING as error:
            failed = True
            if attempt.finished:
                self._note(place, error)
            else:
                self._consider(place, error)
        except RequestError:
            raise
        except Exception as error:
            failed = True
            self._note(place, error)
            if isinstance(error, SwarmgateError):
                raise
            raise PluginError(f"backend {place.name!r} raised {type(error).__name__}: {error}") from error
        finally:
            attempt.read()
            now = anyio.current_time()
            self.tallies.end(place.name, now, failed=failed)
            self._report(candidate, now - began, failed=failed)

    async def run(self, ask: Callable[[Place], Awaitable[T]]) -> T:
        """Return what *ask* gets from the first place that does not fail."""
        while True:
            place, candidate = await self.choose()
            with self.attempt(place, candidate):
                return await ask(place)

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

    def _rested(self, name: str, now: float) -> bool:
        """Return whether *name* may be asked: after each refusal it is left alone for twice as long."""
        refusals, last = self._refusals.get(name, (0, -math.inf))
        return now - last >= self.patience.poll_seconds * 2 ** min(refusals, _DOUBLINGS)

    def _pick(self, able: dict[str, Place]) -> Candidate:
        now = anyio.current_time()
        candidates = [self.tallies.candidate(place, now) for place in able.values()]
        who = type(self.balancer).__name__
        try:
            candidate = self.balancer.pick(self.demand, candidates)
        except Exception as error:
            raise PluginError(f"balancer {who} raised {type(error).__name__}: {error}") from error
        if candidate not in candidates:
            raise PluginError(
                f"balancer {who} picked {candidate!r}, which is none of the {len(candidates)} candidates it was given"
            )
        return candidate

    def _consider(self, place: Place, error: SwarmgateError) -> None:
        """Raise *error*, if it was the last straw; remember it otherwise."""
        self._note(place, error)
        self._last = error
        if isinstance(error, Starting):
            refusals, _ = self._refusals.get(place.name, (0, 0.0))
            self._refusals[place.name] = refusals + 1, anyio.current_time()
            return  # its health has not caught up yet; this cost nothing
        self._give_up_at = math.inf
        self._failures += 1
        self._pieces = 0
        self._loaded.clear()
        if place.backend.health().ready:
            self._spent.add(place.name)
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
        try:
            self.balancer.observe(candidate, seconds=seconds, failed=failed)
        except Exception as error:  # noqa: BLE001  # a deaf balancer spoils no answer
            log = structlog.get_logger("swarmgate.dispatch")
            log.error("dispatch.observe_failed", part=type(self.balancer).__name__, reason=repr(error))  # noqa: TRY400  # rendering a traceback reads files
