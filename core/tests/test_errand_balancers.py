from __future__ import annotations

from collections.abc import Sequence

import pytest
from errands import RESTARTING, First, Trip
from swarmgate.errors import (
    EngineError,
    PluginError,
    Starting,
)
from swarmgate.nouns import Candidate, Demand, Pick
from swarmgate.shadow import Shadow

pytestmark = pytest.mark.anyio


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
