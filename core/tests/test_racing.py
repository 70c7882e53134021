from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from functools import partial

import anyio
import pytest
from dispatching import ASK, CARD, DONE, First, Scripted, Step, text_of
from swarmgate.admission import Admission
from swarmgate.chat import Delta
from swarmgate.contracts import Backend
from swarmgate.dispatch import Dispatcher, Route
from swarmgate.errors import EngineError, RequestError
from swarmgate.hedging import Budget
from swarmgate.nouns import NodeId
from swarmgate.passage import Passage, current_passage, travelling
from swarmgate.racing import Races

pytestmark = pytest.mark.anyio
#: Less is a hedge where the one that is silent was quick before.
_SECONDS = 0.05


@asynccontextmanager
async def racing(budget: Budget | None = None, **backends: Backend) -> AsyncGenerator[tuple[Dispatcher, First]]:
    """Run a dispatcher that has seen its first backend answer once, quickly, and hedges from then on."""
    balancer = First()
    races = Races(seconds=_SECONDS, budget=budget or Budget(share=1.0))
    dispatcher = Dispatcher(lambda: backends, balancer, Admission(poll_seconds=0.037), resume_seconds=5, races=races)
    assert await text_of(dispatcher) == "x"
    balancer.seen.clear()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(races.hedge)
        with anyio.fail_after(20):
            yield dispatcher, balancer
        assert repr(races) == "<Races 0 open>"
        tasks.cancel_scope.cancel()


def then(*script: Step) -> Scripted:
    """Return a backend that answers once as it should, and from then on by *script*."""
    return Scripted([("x", DONE), script])


async def test_whoever_is_silent_for_too_long_loses_to_another() -> None:
    """The other one's answer is the client's, the silent one is stopped, and that counts as a failure of it."""
    silent, other, route = then(anyio.Event()), Scripted([("y", "z", DONE)]), Route()
    async with racing(a=silent, b=other) as (dispatcher, balancer):
        assert await text_of(dispatcher, route=route) == "yz"
        assert balancer.seen == [("a", True), ("b", False)]
        assert silent.left == 2
    assert (route.worker, route.attempts, route.hedged, route.resumed) == ("b", 2, 1, 0)
    assert route.decisions[-1].hindered == (("a", "silent"),)


async def test_whoever_speaks_after_all_may_finish() -> None:
    """The one that was asked in addition is stopped, and that is no failure of it."""
    word = anyio.Event()
    slow, other, route = then(Delta(seed=1), word, "x", "y", DONE), Scripted([(word.set, anyio.Event())]), Route()
    async with racing(a=slow, b=other) as (dispatcher, balancer):
        assert await text_of(dispatcher, route=route) == "xy"
        assert sorted(balancer.seen) == [("a", False), ("b", False)]
        assert other.left == 1
    assert (route.worker, route.hedged) == ("a", 1)


async def test_an_answer_that_has_begun_is_not_asked_for_twice() -> None:
    """However long its next piece takes: nobody else would write the same."""
    pause = anyio.Event()
    begun, other = then("a", pause, "b", DONE), Scripted()
    async with racing(a=begun, b=other) as (dispatcher, _), anyio.create_task_group() as tasks:

        async def wait() -> None:
            await anyio.sleep(4 * _SECONDS)  # that nothing happens takes time to show
            pause.set()

        tasks.start_soon(wait)
        assert await text_of(dispatcher) == "ab"
    assert other.asked == []


@pytest.mark.parametrize("why", ["nobody else", "no slot", "no budget"])
async def test_without_a_place_or_a_reason_nobody_is_asked_twice(why: str) -> None:
    """Where there is nobody with a free slot, or enough were asked twice, the silent one is waited for."""
    word, held = anyio.Event(), anyio.Event()
    silent = then(word, "x", DONE)
    others = {} if why == "nobody else" else {"b": Scripted([(held, "y", DONE)])}
    budget = Budget(share=0.0 if why == "no budget" else 1.0)
    async with racing(budget, a=silent, **others) as (dispatcher, _), anyio.create_task_group() as tasks:
        if why == "no slot":
            dispatcher.drain("a")
            for _ in range(CARD.slots):
                tasks.start_soon(text_of, dispatcher)
            while dispatcher.running("m") < CARD.slots:  # noqa: ASYNC110 -- seen from outside
                await anyio.sleep(0.01)
            dispatcher.drain("a", wanted=False)

        async def speak() -> None:
            await anyio.sleep(4 * _SECONDS)  # that nothing happens takes time to show
            word.set()

        tasks.start_soon(speak)
        assert await text_of(dispatcher) == "x"
        held.set()


async def test_nobody_looks_where_no_request_may_be_asked_twice() -> None:
    """With 0 seconds it is off, and costs nothing."""
    with anyio.fail_after(5):
        await Races(seconds=0).hedge()


async def test_a_resumed_answer_has_its_author_s_seed() -> None:
    """Both told a seed before they spoke: whoever goes on with the answer is given that of the one who began it."""
    silent = then(Delta(seed=1), anyio.Event())
    other = Scripted([(Delta(seed=2), "y", EngineError("died"))])
    third = Scripted([("z", DONE)])
    async with racing(a=silent, b=other, c=third) as (dispatcher, _), dispatcher.generate(ASK) as deltas:
        told = [delta async for delta in deltas]
    assert "".join(delta.text for delta in told) == "yz"
    assert [delta.seed for delta in told if delta.text == "y"] == [2]
    (asked,) = third.asked
    assert asked.resume is not None
    assert (asked.resume.seed, asked.resume.token_ids) == (2, tuple(b"y"))


async def test_one_that_fails_leaves_the_other_alone() -> None:
    """Whoever was asked in addition may fail or refuse in any way; the first one is still waited for."""
    for failure in (EngineError("broken"), RequestError("no"), KeyError("oops")):
        word = anyio.Event()

        def say(word: anyio.Event = word) -> None:
            word.set()

        silent, other = then(word, "x", DONE), Scripted([(say, failure)])
        async with racing(a=silent, b=other) as (dispatcher, _):
            assert await text_of(dispatcher) == "x"


async def test_the_first_may_fail_while_another_one_is_asked() -> None:
    """Then that one's answer counts; if it is silent too, a third one is asked."""
    fail = anyio.Event()
    dying, silent, third = (
        then(fail, EngineError("died")),
        Scripted([(fail.set, anyio.Event())]),
        Scripted([("z", DONE)]),
    )
    route = Route()
    async with racing(a=dying, b=silent, c=third) as (dispatcher, balancer):
        await text_of_quick(dispatcher, silent)
        assert await text_of(dispatcher, route=route) == "z"
        assert ("c", False) in balancer.seen
    assert route.hedged == 2


async def text_of_quick(dispatcher: Dispatcher, backend: Scripted) -> None:
    """Have the dispatcher see *backend* answer quickly, so that its silence is too long soon."""
    script, backend.scripts = backend.scripts, [("x", DONE)]
    dispatcher.drain("a")
    assert await text_of(dispatcher) == "x"
    dispatcher.drain("a", wanted=False)
    backend.scripts, backend.asked = script, []


async def test_a_refusal_of_the_request_ends_it_for_all() -> None:
    """Who is asked first and says that the request is wrong is believed, and the other one is stopped."""
    refuse = anyio.Event()
    first, other = then(refuse, RequestError("wrong")), Scripted([(refuse.set, anyio.Event())])
    async with racing(a=first, b=other) as (dispatcher, _):
        with pytest.raises(RequestError, match="wrong"):
            await text_of(dispatcher)
        assert other.left == 1
        assert dispatcher.running("m") == 0


async def test_a_client_that_leaves_stops_both() -> None:
    """At once, and no slot stays taken."""
    asked = anyio.Event()
    silent, other = then(anyio.Event()), Scripted([(asked.set, anyio.Event())])
    async with racing(a=silent, b=other) as (dispatcher, balancer):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(partial(text_of, dispatcher))
            await asked.wait()
            tasks.cancel_scope.cancel()
        assert (silent.left, other.left) == (2, 1)
        assert dispatcher.running("m") == 0
        assert sorted(balancer.seen) == [("a", False), ("b", False)]


async def test_the_other_one_is_asked_in_the_request_s_own_name() -> None:
    """It is told the way that the request came, though another task than the request's has it asked."""
    seen: list[Passage] = []
    note: Callable[[], None] = lambda: seen.append(current_passage())  # noqa: E731 -- a step of a script
    passage = Passage(1, (NodeId("first"),))
    async with racing(a=then(anyio.Event()), b=Scripted([(note, "y", DONE)])) as (dispatcher, _):
        with travelling(passage):
            assert await text_of(dispatcher) == "y"
    assert seen == [passage]
