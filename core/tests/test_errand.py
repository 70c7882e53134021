from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import anyio
import pytest
from swarmgate.chat import ModelCard
from swarmgate.echo import EchoBackend
from swarmgate.errand import Errand, Patience
from swarmgate.errors import (
    ContextExceeded,
    EngineError,
    NoCandidate,
    PluginError,
    Starting,
    Unavailable,
    Unreachable,
    WireError,
)
from swarmgate.nouns import Candidate, Demand, Health, Pick
from swarmgate.places import Place
from swarmgate.shadow import Shadow
from swarmgate.tallies import Tallies

pytestmark = pytest.mark.anyio

CARD = ModelCard(name="m")
READY = Health(ready=True)
RESTARTING = Health(ready=False, reason="is being restarted")
PATIENCE = Patience(seconds=5, poll_seconds=0.01)


class Mortal(EchoBackend):
    """Is as healthy as it is told to be."""

    state = READY

    def health(self) -> Health:
        return self.state


@dataclass
class First:
    """Picks the first candidate and writes down what it is told."""

    seen: list[tuple[str, bool]] = field(default_factory=list[tuple[str, bool]])

    def pick(self, demand: Demand, candidates: Sequence[Candidate]) -> Pick:
        return Pick(candidate=candidates[0], reason="first")

    def observe(self, candidate: Candidate, *, seconds: float, failed: bool) -> None:
        self.seen.append((candidate.name, failed))


@dataclass
class Trip:
    """An errand among backends, each of which fails as its list says and answers with its name then."""

    outcomes: dict[str, list[Exception]]
    balancer: First = field(default_factory=First)
    patience: Patience = PATIENCE
    backends: dict[str, Mortal] = field(default_factory=dict[str, Mortal])

    def __post_init__(self) -> None:
        self.backends = {name: Mortal() for name in self.outcomes}
        self.errand = Errand(Demand(model="m"), self.places, self.balancer, Tallies(), self.patience)

    def places(self) -> tuple[Place, ...]:
        return tuple(Place(name, backend, CARD, backend.health()) for name, backend in self.backends.items())

    async def ask(self, place: Place) -> str:
        await anyio.lowlevel.checkpoint()
        if self.outcomes[place.name]:
            raise self.outcomes[place.name].pop(0)
        return place.name

    async def run(self) -> str:
        with anyio.fail_after(10):
            return await self.errand.run(self.ask)


@pytest.mark.parametrize("error", [EngineError("no"), Unavailable("no"), Unreachable("no")])
async def test_a_passing_failure_tries_another(error: Exception) -> None:
    """Both outcomes are observed, once each, and the way is told."""
    trip = Trip({"a": [error], "b": []})
    assert await trip.run() == "b"
    assert trip.balancer.seen == [("a", True), ("b", False)]
    route = trip.errand.route
    assert (route.worker, route.attempts, route.reason) == ("b", 2, "no")


async def test_the_last_failure_is_raised() -> None:
    """When everyone failed the last reason is told at once, and nobody was asked twice."""
    trip = Trip({"a": [EngineError("one")], "b": [Unavailable("two")]})
    with pytest.raises(Unavailable, match="two"):
        await trip.run()
    assert trip.balancer.seen == [("a", True), ("b", True)]


async def test_a_fault_of_the_request_is_nobodys_failure() -> None:
    """A request that cannot be answered is not tried elsewhere and counts against nobody."""
    trip = Trip({"a": [ContextExceeded("too long")], "b": []})
    with pytest.raises(ContextExceeded):
        await trip.run()
    assert trip.balancer.seen == [("a", False)]


async def test_any_other_failure_is_final_and_counts() -> None:
    """What is neither passing nor the caller's fault is not tried elsewhere."""
    trip = Trip({"a": [WireError("garbage")], "b": []})
    with pytest.raises(WireError):
        await trip.run()
    assert trip.balancer.seen == [("a", True)]


async def test_a_foreign_exception_names_the_backend() -> None:
    """What a backend may not raise becomes a PluginError."""
    trip = Trip({"a": [ValueError("odd")]})
    with pytest.raises(PluginError, match="backend 'a' raised ValueError: odd"):
        await trip.run()
    assert trip.balancer.seen == [("a", True)]


async def test_a_dead_engine_is_waited_for_and_asked_again() -> None:
    """The only backend's engine dies; the request waits until it is ready again, and succeeds."""
    trip = Trip({"a": [EngineError("was killed by SIGKILL")]})
    answers = list[str]()

    async def go() -> None:
        answers.append(await trip.run())

    async with anyio.create_task_group() as tasks:
        trip.backends["a"].state = READY
        outcomes = trip.ask

        async def dying(place: Place) -> str:
            try:
                return await outcomes(place)
            except EngineError:
                trip.backends["a"].state = RESTARTING
                raise

        trip.ask = dying  # type: ignore[method-assign]  # the same, and it takes the engine along
        tasks.start_soon(go)
        await anyio.wait_all_tasks_blocked()
        assert trip.balancer.seen == [("a", True)]
        assert answers == []
        trip.backends["a"].state = READY
    assert answers == ["a"]
    assert trip.errand.route.attempts == 2


async def test_starting_is_not_held_against_a_backend_whose_health_lags() -> None:
    """A refusal because of a restart costs no attempt, however often it is heard."""
    trip = Trip({"a": [Starting("is being restarted")] * 5})
    assert await trip.run() == "a"
    assert trip.errand.route.attempts == 6


async def test_failures_are_counted() -> None:
    """A request that fails everywhere does not wander through the whole house."""
    trip = Trip({name: [EngineError(name)] for name in "abcdef"})
    with pytest.raises(EngineError, match="c"):
        await trip.run()
    assert len(trip.balancer.seen) == 3


async def test_waiting_for_a_restart_ends_in_time() -> None:
    """The failure that began the wait is what is told."""
    trip = Trip({"a": [Starting("is being restarted")] * 10_000}, patience=Patience(seconds=0.1, poll_seconds=0.01))
    with pytest.raises(Starting):
        await trip.run()
    trip.backends["a"].state = RESTARTING
    silent = Trip({"a": []}, patience=Patience(seconds=0.05, poll_seconds=0.01))
    silent.backends["a"].state = RESTARTING
    with pytest.raises(NoCandidate, match="nobody who serves 'm' became ready in time"):
        await silent.run()


async def test_nobody_is_waited_for_who_would_not_fit() -> None:
    """A restart that could not help is not waited for."""
    trip = Trip({"a": [EngineError("died")]})
    place, candidate = await trip.errand.choose()
    with trip.errand.attempt(place, candidate):
        trip.backends["a"].state = RESTARTING
        raise EngineError("died")
    with pytest.raises(EngineError, match="died"), anyio.fail_after(1):
        await trip.errand.choose(lambda _: False)


class Strange(First):
    """Picks somebody it was not given."""

    def pick(self, demand: Demand, candidates: Sequence[Candidate]) -> Pick:
        return Pick(candidate=Candidate(name="who?"))


class Clumsy(First):
    """Fails at picking."""

    def pick(self, demand: Demand, candidates: Sequence[Candidate]) -> Pick:
        raise ZeroDivisionError("oops")


class Deaf(First):
    """Fails when it is told."""

    def observe(self, candidate: Candidate, *, seconds: float, failed: bool) -> None:
        raise ZeroDivisionError("oops")


async def test_a_strange_pick_is_blamed_on_the_balancer() -> None:
    """Picking none of the candidates names the balancer, and nothing is observed."""
    trip = Trip({"a": []}, Strange())
    with pytest.raises(PluginError, match=r"balancer Strange picked Candidate\(name='who\?'"):
        await trip.run()
    assert trip.balancer.seen == []


class Former(First):
    """Returns the candidate itself, as balancers once did."""

    def pick(self, demand: Demand, candidates: Sequence[Candidate]) -> Pick:
        return candidates[0]  # type: ignore[return-value]  # the point


async def test_a_pick_that_is_none_is_blamed_on_the_balancer() -> None:
    """The message says what came and what was expected."""
    with pytest.raises(PluginError, match="balancer Former returned a Candidate, expected a Pick of one candidate"):
        await Trip({"a": []}, Former()).run()


class Scoring(First):
    """Picks the lowest score of those it was told."""

    def pick(self, demand: Demand, candidates: Sequence[Candidate]) -> Pick:
        scores = tuple(float(ord(candidate.name)) for candidate in candidates)
        return Pick(candidate=candidates[0], reason="lowest letter", scores=scores)


async def test_each_attempt_is_explained() -> None:
    """The route has whom the balancer chose of whom and why, and what kept the others out."""
    trip = Trip({"a": [EngineError("no")], "b": [], "c": [], "d": []}, Scoring())
    trip.backends["c"].state = RESTARTING
    assert await trip.run() == "b"
    first, second = trip.errand.route.decisions
    assert (first.chosen, first.reason, first.scores) == ("a", "lowest letter", (97.0, 98.0, 100.0))
    assert first.hindered == (("c", "not ready"),)
    assert [(each.name, each.hindrance, each.score) for each in second.considered()] == [
        ("b", None, 98.0),
        ("d", None, 100.0),
        ("a", "spent", None),
        ("c", "not ready", None),
    ]


async def test_whoever_is_the_only_one_needs_no_other_reason() -> None:
    """With one candidate that is the reason; one that refused rests, others may hold other weights."""
    trip = Trip({"a": [Starting("not yet")], "b": []})
    place, candidate = await trip.errand.choose(lambda place: place.name == "a")
    with trip.errand.attempt(place, candidate):
        await trip.ask(place)
    await trip.errand.choose(lambda place: place.name == "b")
    first, second = trip.errand.route.decisions
    assert (first.reason, first.hindered) == ("only candidate", (("b", "wrong weights"),))
    assert second.hindered == (("a", "wrong weights"),)
    await trip.errand.choose()
    assert dict(trip.errand.route.decisions[-1].hindered) == {"a": "resting"}


async def test_giving_up_is_explained_too() -> None:
    """The last decision chose nobody, and says why nobody could be."""
    trip = Trip({"a": [EngineError("died")]})
    with pytest.raises(EngineError):
        await trip.run()
    last = trip.errand.route.decisions[-1]
    assert (last.chosen, last.reason, last.hindered) == ("", "died", (("a", "spent"),))


async def test_a_shadow_is_asked_and_told_and_decides_nothing() -> None:
    """What it would have chosen stands beside the choice."""
    trip, balancer = Trip({"a": [], "b": []}), Last()
    trip.errand.shadow = Shadow(balancer)
    assert await trip.run() == "a"
    assert [(each.chosen, each.shadow) for each in trip.errand.route.decisions] == [("a", "b")]
    assert balancer.seen == [("a", False)]


class Last(First):
    """Picks the last candidate."""

    def pick(self, demand: Demand, candidates: Sequence[Candidate]) -> Pick:
        return Pick(candidate=candidates[-1])


async def test_a_balancer_that_raises_is_named() -> None:
    """An exception of pick becomes a PluginError; one of observe spoils no answer."""
    with pytest.raises(PluginError, match="balancer Clumsy raised ZeroDivisionError: oops"):
        await Trip({"a": []}, Clumsy()).run()
    assert await Trip({"a": []}, Deaf()).run() == "a"
