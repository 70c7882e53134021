from __future__ import annotations

import anyio
import msgspec
import pytest
from dispatching import ASK, BROKEN, CARD, DONE, READY, First, Scripted, house, text_of
from swarmgate.admission import Admission
from swarmgate.chat import (
    Delta,
    EmbedRequest,
    ModelCard,
    TextPrompt,
    Token,
    TokenizeRequest,
)
from swarmgate.dispatch import Route
from swarmgate.errors import (
    EngineError,
    LoopDetected,
    NoCandidate,
    QueueFull,
    Starting,
    SwarmgateError,
    UnknownModel,
    Unsupported,
)
from swarmgate.nouns import Demand, Health, NodeId
from swarmgate.passage import Passage, travelling

pytestmark = pytest.mark.anyio


async def test_an_answer_comes_through_in_order_and_ends_with_its_usage() -> None:
    """Pieces arrive as the backend wrote them, the outcome is observed once, the route says who it was."""
    balancer, route, backend = First(), Route(), Scripted([("a", "b", DONE)])
    async with house(balancer, a=backend).generate(ASK, route=route) as deltas:
        pieces = [delta async for delta in deltas]
    assert [piece.text for piece in pieces] == ["a", "b", ""]
    assert pieces[-1] == DONE
    assert balancer.seen == [("a", False)]
    assert (route.model, route.worker, route.attempts, route.resumed, route.reason) == ("m", "a", 1, 0, "")


async def test_fails_over_before_the_first_piece() -> None:
    """A backend that fails before saying anything is replaced, and both outcomes are observed."""
    balancer, route = First(), Route()
    bad, good = Scripted([(EngineError("broken"),)]), Scripted([("x", "y", DONE)])
    assert await text_of(house(balancer, a=bad, b=good), route=route) == "xy"
    assert balancer.seen == [("a", True), ("b", False)]
    assert (bad.left, good.left) == (1, 1)
    assert (route.worker, route.attempts, route.reason) == ("b", 2, "broken")


async def test_an_unknown_model_is_the_callers_mistake() -> None:
    """The message names what there is."""
    with pytest.raises(UnknownModel, match=r"no model is called 'gpt'; there are: m"):
        await text_of(house(a=Scripted()), msgspec.structs.replace(ASK, model="gpt"))


async def test_an_alias_reaches_the_model_under_its_own_name() -> None:
    """The backend is asked for the name it knows, whatever the client called it."""
    backend, route = Scripted(card=ModelCard(name="m", aliases=("gpt-4o",))), Route()
    assert await text_of(house(a=backend), msgspec.structs.replace(ASK, model="gpt-4o"), route) == "x"
    assert backend.asked[0].model == route.model == "m"


async def test_leaving_early_stops_the_work_and_frees_the_slot() -> None:
    """A caller that walks away leaves nothing running, and it is not held against the backend."""
    balancer, backend = First(), Scripted([("a", anyio.Event())], card=ModelCard(name="m", slots=1))
    dispatcher = house(balancer, a=backend)
    for _ in range(3):
        with anyio.fail_after(5):
            async with dispatcher.generate(ASK) as deltas:
                assert (await anext(deltas)).text == "a"
                assert dispatcher.running("m") == 1
    assert backend.left == 3
    assert balancer.seen == [("a", False)] * 3
    assert (dispatcher.running("m"), dispatcher.waiting("m")) == (0, 0)
    assert balancer.offered[-1][0].in_flight == 0


async def test_what_the_caller_raises_leaves_unwrapped() -> None:
    """An error inside the caller's block comes out as itself, not in a group."""
    with pytest.raises(KeyError, match="mine"):
        async with house(a=Scripted()).generate(ASK):
            raise KeyError("mine")


async def test_cancelling_the_caller_stops_the_work() -> None:
    """A cancelled caller leaves no slot taken, wherever it was waiting."""
    dispatcher, backend = house(a=Scripted([(anyio.Event(),)])), Scripted()
    with anyio.move_on_after(0.05) as scope:
        await text_of(dispatcher)
    assert scope.cancelled_caught
    assert dispatcher.running("m") == 0
    assert backend.left == 0


async def test_the_caller_may_put_limits_around_each_piece() -> None:
    """Waiting for a single piece within a scope works, even while the answer changes its backend."""
    dying = Scripted([(Delta(seed=7), "a", EngineError("died"))])
    dispatcher = house(a=dying, b=Scripted([("b", DONE)]))
    said: list[str] = []
    async with dispatcher.generate(ASK) as deltas:
        while True:
            with anyio.fail_after(5):
                delta = await anext(deltas)
            said.append(delta.text)
            if delta.finish:
                break
    assert "".join(said) == "ab"


async def test_an_answer_without_an_end_is_a_failure() -> None:
    """An iterator that stops without a finish is an engine error, never a quiet end."""
    with pytest.raises(EngineError, match="without a finish"):
        await text_of(house(a=Scripted([("x",)], card=ModelCard(name="m"))))


async def test_a_candidate_shows_what_is_under_way_and_what_failed() -> None:
    """The balancer sees requests in flight, tokens yet to be read, and recent failures."""
    balancer, hold = First(), anyio.Event()
    dispatcher = house(balancer, a=Scripted([(EngineError("no"),), (hold, "x", DONE)]), b=Scripted())
    assert await text_of(dispatcher) == "x"
    assert balancer.offered[1][0].name == "b"
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(text_of, dispatcher)
        while dispatcher.running("m") < 1:
            await anyio.lowlevel.checkpoint()
        await anyio.wait_all_tasks_blocked()
        tasks.start_soon(text_of, dispatcher)
        await anyio.wait_all_tasks_blocked()
        seen = balancer.offered[-1][0]
        assert (seen.name, seen.in_flight, seen.slots) == ("a", 1, 2)
        assert seen.queued_tokens == 6
        assert 0.1 < seen.failures < 0.5
        hold.set()


async def test_a_model_that_is_loading_is_waited_for() -> None:
    """A request sent while the model loads is answered once it is ready."""
    backend = Scripted(state=Health(ready=False, reason="loading", progress=0.5))
    dispatcher, route = house(a=backend), Route()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(text_of, dispatcher, ASK, route)
        await anyio.wait_all_tasks_blocked()
        assert (dispatcher.waiting("m"), route.attempts) == (1, 0)
        backend.state = READY
    assert route.worker == "a"
    assert route.queue_seconds > 0


async def test_waiting_for_a_model_that_loads_ends_in_time() -> None:
    """Whoever waited too long for a model learns how far it is."""
    backend = Scripted(state=Health(ready=False, reason="loading", progress=0.25))
    with pytest.raises(Starting, match=r"'m' is not ready yet: loading \(25%\)"):
        await text_of(house(None, Admission(queue_seconds=0.1), a=backend))


async def test_a_model_that_failed_for_good_fails_at_once() -> None:
    """Nobody waits for what will not come, not even one who waits already."""
    backend = Scripted(state=BROKEN)
    with pytest.raises(NoCandidate, match="'m' cannot be served: no such file"):
        await text_of(house(a=backend))
    backend.state = Health(ready=False, reason="loading")
    dispatcher, errors = house(a=backend), list[SwarmgateError]()

    async def ask() -> None:
        with pytest.raises(NoCandidate) as caught:
            await text_of(dispatcher)
        errors.append(caught.value)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask)
        tasks.start_soon(ask)
        await anyio.wait_all_tasks_blocked()
        backend.state = BROKEN
    assert len(errors) == 2


async def test_a_model_is_refused_what_it_is_not_made_for() -> None:
    """A chat model embeds nothing; the message says what it is made for."""
    request = EmbedRequest(id="e", model="m", inputs=("a",))
    with pytest.raises(Unsupported, match="'m' is not made for embedding, only for chat and completion"):
        await house(a=Scripted()).embed(request)
    embedder = ModelCard(name="m", abilities=frozenset({"embedding"}))
    with pytest.raises(Unsupported, match="not made for completion"):
        await text_of(house(a=Scripted(card=embedder)), msgspec.structs.replace(ASK, prompt=TextPrompt(text="a")))
    assert (await house(a=Scripted(card=embedder)).embed(request)).vectors == (b"1234",)


async def test_tokens_are_cut_and_joined_without_a_slot() -> None:
    """Tokenizing works while every slot is taken."""
    hold = anyio.Event()
    dispatcher = house(a=Scripted([(hold, DONE)], card=ModelCard(name="m", slots=1, aliases=("n",))))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(text_of, dispatcher)
        await anyio.wait_all_tasks_blocked()
        assert await dispatcher.tokenize(TokenizeRequest(model="n", text="")) == (Token(id=1, data=b"m"),)
        assert await dispatcher.detokenize("n", [65]) == b"A"
        hold.set()


async def test_embedding_fails_over() -> None:
    """An embedder that fails is replaced like a writer."""
    card = ModelCard(name="m", abilities=frozenset({"embedding"}))
    dispatcher, route = house(a=Scripted([(EngineError("no"),)], card=card), b=Scripted(card=card)), Route()
    await dispatcher.embed(EmbedRequest(id="e", model="m", inputs=("a", (1, 2))), route=route)
    assert (route.worker, route.attempts) == ("b", 2)


async def test_no_more_answers_at_once_than_slots_and_no_longer_queue_than_allowed() -> None:
    """Two slots and a queue of one: the third waits, the fourth is told to come back."""
    hold = anyio.Event()
    dispatcher = house(None, Admission(queue_limit=1, poll_seconds=0.037), a=Scripted([("x", hold, DONE)]))
    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(text_of, dispatcher)
        await anyio.wait_all_tasks_blocked()
        assert (dispatcher.running("m"), dispatcher.waiting("m")) == (2, 1)
        with pytest.raises(QueueFull) as caught:
            await text_of(dispatcher)
        assert caught.value.retry_after >= 1
        hold.set()


async def test_the_node_that_answers_is_named() -> None:
    """Where a backend asks another machine, the route has that one's name."""
    route = Route()
    there = Scripted(card=msgspec.structs.replace(CARD, node="far"))
    assert await text_of(house(a=there), ASK, route) == "x"
    assert route.worker == "far"
    assert [place.name for place in house(a=there).places("m")] == ["a"]


async def test_nothing_is_sent_back_where_it_came_from() -> None:
    """A request that came through a gateway is not sent to it, however idle it is."""
    back = Scripted(card=msgspec.structs.replace(CARD, paths=(("g",),)))
    here = Scripted()
    with travelling(Passage(1, (NodeId("g"),))):
        assert await text_of(house(a=back, b=here)) == "x"
        assert (len(back.asked), len(here.asked)) == (0, 1)
        with pytest.raises(LoopDetected, match="only from gateways this request has come through"):
            await text_of(house(a=back))
    assert await text_of(house(a=back)) == "x"


async def test_a_balancer_is_told_what_was_seen_and_what_is_held() -> None:
    """The second question on one text finds speeds, a held prefix, and how long answers have been."""
    balancer, demands = First(), list[Demand]()
    pick = balancer.pick
    balancer.pick = lambda demand, candidates: (demands.append(demand), pick(demand, candidates))[1]  # type: ignore[method-assign]
    dispatcher = house(balancer, a=Scripted([("x" * 40, "y" * 40, DONE)]))
    for _ in range(2):
        await text_of(dispatcher, msgspec.structs.replace(ASK, prompt=TextPrompt(text="t" * 2000)))
    (first,), (second,) = balancer.offered
    assert (first.cached_prefix, first.prefill_rate, first.decode_rate) == (0, 0, 0)
    assert (second.cached_prefix, second.in_flight, second.writing, second.queued_tokens) == (384, 0, 0, 0)
    assert second.prefill_rate > 0 < second.decode_rate
    assert [(demand.expected_tokens, demand.waiting, len(demand.blocks)) for demand in demands] == [
        (0, 0, 3),
        (2, 0, 3),
    ]


async def test_a_drained_node_finishes_and_gets_nothing_new() -> None:
    """It is meant by its own name or its gateway's; taken back in it is asked again."""
    there = Scripted(card=msgspec.structs.replace(CARD, node="far"))
    here = Scripted()
    dispatcher = house(a=there, b=here)
    assert dispatcher.drain("nobody") == ()
    async with dispatcher.generate(ASK) as deltas:
        assert dispatcher.drain("far") == ("a",)
        assert "".join([delta.text async for delta in deltas]) == "x"
    assert (await text_of(dispatcher), len(there.asked), len(here.asked)) == ("x", 1, 1)
    assert [(node.backend, node.draining) for node in dispatcher.nodes()] == [("a", True), ("b", False)]
    assert dispatcher.drain("a", wanted=False) == ("a",)
    assert (await text_of(dispatcher), len(there.asked)) == ("x", 2)


async def test_a_trial_tells_the_breaker() -> None:
    """Three that fail open it, and two that succeed close it; nobody hears of either but whoever looks."""
    sick = Scripted([(EngineError("no"),)] * 3 + [("x", DONE)])
    dispatcher = house(a=sick)
    for _ in range(3):
        await dispatcher.try_out("a", seconds=5)
    (node,) = dispatcher.nodes()
    assert (node.breaker, node.retry_seconds > 0) == ("open", True)
    assert sick.asked[0].max_tokens == 1
    for _ in range(2):
        await dispatcher.try_out("a", seconds=5)
    assert dispatcher.nodes()[0].breaker == "closed"
    slow = house(a=Scripted([(anyio.Event(), DONE)]))
    with anyio.fail_after(5):
        for _ in range(3):
            await slow.try_out("a", seconds=0.01)
    assert slow.nodes()[0].breaker == "open"
    await slow.try_out("nobody", seconds=1)
