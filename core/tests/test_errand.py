from __future__ import annotations

import anyio
import pytest
from errands import CARD, PATIENCE, READY, RESTARTING, First, Trip
from swarmgate.chat import ModelCard
from swarmgate.errand import Errand, Patience
from swarmgate.errors import (
    ContextExceeded,
    EngineError,
    Hung,
    NoCandidate,
    PluginError,
    Starting,
    Unavailable,
    Unreachable,
    WireError,
)
from swarmgate.nouns import Demand, Health
from swarmgate.places import Place
from swarmgate.tallies import Tallies

pytestmark = pytest.mark.anyio


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
    answers, died = list[str](), anyio.Event()

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
                died.set()  # whoever waits for it runs when this task has to wait itself
                raise

        trip.ask = dying  # type: ignore[method-assign]  # the same, and it takes the engine along
        tasks.start_soon(go)
        await died.wait()
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


async def test_who_cannot_be_reached_is_no_failure_of_the_request() -> None:
    """However many nodes are gone, the next one is asked, each once; when all are, that is told at once."""
    gone: dict[str, list[Exception]] = {name: [Unreachable(f"{name} is gone")] for name in "abcdef"}
    trip = Trip({**gone, "g": []})
    assert await trip.run() == "g"
    assert len(trip.balancer.seen) == 7
    with pytest.raises(Unreachable, match="f is gone"):
        await Trip({name: [Unreachable(f"{name} is gone")] for name in "abcdef"}).run()


async def test_failures_long_ago_are_forgiven() -> None:
    """An answer that has moved on for a while may lose as many engines again, the same ones too."""
    trip = Trip({"a": [], "b": []})
    for turn in range(6):
        place, candidate = await trip.errand.choose()
        with trip.errand.attempt(place, candidate):
            for _ in range(8):
                trip.errand.progress()
            raise EngineError(f"death {turn}")
    place, candidate = await trip.errand.choose()
    with trip.errand.attempt(place, candidate):
        raise EngineError("death 6")
    with pytest.raises(EngineError, match="death 6"):
        await trip.errand.choose()


async def test_a_begun_answer_waits_for_whoever_comes_nearer() -> None:
    """While a model is being loaded further and further nobody gives up; once it stands still, they do."""
    trip = Trip({"a": []}, patience=Patience(resume_seconds=0.2, poll_seconds=0.01))
    trip.backends["a"].state = Health(ready=False, reason="loading", progress=0.0)
    gave_up = anyio.Event()

    async def wait() -> None:
        with pytest.raises(NoCandidate):
            await trip.errand.choose(begun=True)
        gave_up.set()

    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wait)
            for percent in range(1, 11):
                await anyio.sleep(0.05)
                assert not gave_up.is_set()
                trip.backends["a"].state = Health(ready=False, reason="loading", progress=percent / 10)
            await gave_up.wait()


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


async def test_a_place_that_is_gone_is_not_now_rather_than_never() -> None:
    """Whoever waited in vain for a place out of reach is told to come back, and why it was out of reach."""
    trip = Trip({"a": [Unreachable("connection refused")]}, patience=Patience(seconds=0.05, poll_seconds=0.01))
    place, candidate = await trip.errand.choose()
    with trip.errand.attempt(place, candidate):
        trip.backends["a"].state = RESTARTING
        raise Unreachable("connection refused")
    with pytest.raises(NoCandidate, match="'m' became ready in time; the last to be asked: connection refused"):
        await trip.errand.choose()


async def test_a_relayed_request_goes_the_shortest_way() -> None:
    """And an ordinary one may go any that leads to another machine."""
    trip = Trip({"far": [], "near": []})
    far = ModelCard(name="m", paths=(("g",),))

    def places() -> tuple[Place, ...]:
        return tuple(
            Place(name, backend, far if name == "far" else CARD, READY) for name, backend in trip.backends.items()
        )

    for relayed, chosen in ((True, "near"), (False, "far")):
        errand = Errand(Demand(model="m"), places, First(), Tallies(), PATIENCE, relayed=relayed)
        assert (await errand.choose())[0].name == chosen


async def test_whoever_keeps_failing_is_left_alone_and_comes_back_by_degrees() -> None:
    """A broken place is no candidate while another is sound; alone it is asked all the same."""
    trip = Trip({"a": [], "b": []})
    breaker = trip.errand.breakers.of("a")
    for _ in range(3):
        breaker.begin()
        breaker.end(anyio.current_time(), failed=True)
    assert await trip.run() == "b"
    assert trip.errand.route.decisions[-1].hindered == (("a", "broken"),)
    del trip.backends["b"]
    assert await trip.run() == "a"


async def test_whoever_hangs_is_counted_apart() -> None:
    """The route tells of those that were given up since they said nothing; to the request they failed like any."""
    trip = Trip({"a": [Hung("a said nothing")], "b": [EngineError("no")], "c": []})
    assert await trip.run() == "c"
    assert (trip.errand.route.hung, trip.errand.route.attempts) == (1, 3)


async def test_another_is_asked_beside_one_only_if_it_is_free_and_sound() -> None:
    """And of those that are not, the decision tells why; where nobody is, nothing is decided."""
    trip = Trip({"a": [], "busy": [], "broken": [], "b": []})
    breaker = trip.errand.breakers.of("broken")
    for _ in range(3):
        breaker.begin()
        breaker.end(anyio.current_time(), failed=True)
    busy = next(place for place in trip.places() if place.name == "busy")
    for _ in range(busy.card.slots):
        trip.errand.tallies.begin(busy, trip.errand.demand, 0.0)
    found = trip.errand.another("a")
    assert found is not None
    assert found[0].name == found[1].name == "b"
    assert dict(trip.errand.route.decisions[-1].hindered) == {"a": "silent", "busy": "busy", "broken": "broken"}
    assert trip.errand.route.hedged == 1
    del trip.backends["b"]
    assert trip.errand.another("a") is None
    assert trip.errand.route.hedged == 1


async def test_a_longer_way_to_the_silent_machine_is_no_other_place() -> None:
    """It would be asked twice itself."""
    trip = Trip({"near": [], "far": []})
    ways = {"near": (("g",),), "far": (("h", "g"),)}

    def places() -> tuple[Place, ...]:
        return tuple(
            Place(name, backend, ModelCard(name="m", paths=ways[name]), READY)
            for name, backend in trip.backends.items()
        )

    assert Errand(Demand(model="m"), places, First(), Tallies(), PATIENCE).another("near") is None


async def test_whoever_lost_to_another_has_failed_and_is_not_asked_again() -> None:
    """Breaker and balancer learn of it, though the try was only stopped; for this request the place is spent."""
    trip = Trip({"a": [], "b": []})
    place, candidate = await trip.errand.choose()
    with anyio.CancelScope() as scope, trip.errand.attempt(place, candidate) as attempt:
        attempt.lost = True
        scope.cancel()
        await anyio.lowlevel.checkpoint()
    assert trip.balancer.seen == [("a", True)]
    assert trip.errand.breakers.of("a")._failed == 1
    assert (await trip.errand.choose())[0].name == "b"


async def test_outcomes_reach_the_breaker() -> None:
    """A passing failure counts, a restart does not; a fault of the request is an answer, a cancelled try is none."""
    trip = Trip({"a": [EngineError("x"), Starting("y"), ContextExceeded("z")], "b": []})
    breaker = trip.errand.breakers.of("a")
    place, candidate = await trip.errand.choose()
    with trip.errand.attempt(place, candidate):
        await trip.ask(place)
    assert breaker._failed == 1
    with trip.errand.attempt(place, candidate):
        await trip.ask(place)
    assert breaker._failed == 1
    with pytest.raises(ContextExceeded), trip.errand.attempt(place, candidate):
        await trip.ask(place)
    assert (breaker._failed, breaker._passed) == (0, 1)
    with anyio.CancelScope() as scope, trip.errand.attempt(place, candidate):
        scope.cancel()
        await anyio.sleep(1)
    assert (breaker._failed, breaker._passed, breaker.busy) == (0, 1, False)
