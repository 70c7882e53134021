from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

import anyio
import pytest
from msgspec.structs import replace
from swarmgate.allotment import memory_of
from swarmgate.chat import ModelCard
from swarmgate.echo import EchoBackend, EchoOptions
from swarmgate.errors import EngineError, Unavailable
from swarmgate.loading import Load, Loading
from swarmgate.nouns import Endpoint, Health, Worker
from swarmgate.split import OnChange, Portion, Share, SplitPlan
from swarmgate.testing import a_card, a_worker

pytestmark = pytest.mark.anyio


class Evenly:
    """Divides evenly among all workers, and refuses to do without any."""

    def plan(self, model: ModelCard, here: int, workers: Sequence[Worker]) -> SplitPlan:
        assert here in {1000, 500}  # all of it, or half of it each
        if model.placement == "local":
            return SplitPlan()
        if not workers:
            raise Unavailable("needs 2 GB, has 1 GB")
        return SplitPlan(shares=tuple(Share(worker=worker, fraction=1 / len(workers)) for worker in workers))


class Loaded(EchoBackend):
    """Writes down its plans; raises what it is told to, in order, and is held up by *gate*."""

    def __init__(self, *errors: Exception, card: ModelCard | None = None) -> None:
        super().__init__(EchoOptions())
        self.plans: list[str] = []
        self.errors = list(errors)
        self.card = card or a_card("m", weight_bytes=1)
        self.gate: anyio.Event | None = None
        self.cancelled = 0
        self.state = Health(ready=False, reason="not loaded yet")

    def models(self) -> tuple[ModelCard, ...]:
        return (self.card,)

    def health(self) -> Health:
        return self.state

    async def load(self, plan: SplitPlan) -> None:
        self.plans.append("".join(sorted(worker.offer.name for worker in plan.workers)))
        try:
            await anyio.lowlevel.checkpoint()
            if self.gate is not None:
                await self.gate.wait()
        except anyio.get_cancelled_exc_class():
            self.cancelled += 1
            raise
        if self.errors:
            raise self.errors.pop(0)


async def here() -> int:
    return 1000


@asynccontextmanager
async def loading(*backends: Loaded, on_change: OnChange = "reload") -> AsyncGenerator[Loading]:
    made = Loading(Evenly(), here, on_change=on_change)
    for number, backend in enumerate(backends):
        made.add(f"b{number}", backend)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(made.run)
        await settled()
        yield made
        tasks.cancel_scope.cancel()


async def tell(made: Loading, *crew: Worker) -> Load:
    made.tell(crew)
    await settled()
    return made.loads[0]


async def settled() -> None:
    with anyio.fail_after(10):
        await anyio.wait_all_tasks_blocked()


A, B, C = (a_worker(name, memory_bytes=9, endpoint=Endpoint("127.0.0.1", port)) for port, name in enumerate("abc", 1))


async def test_loads_as_soon_as_the_model_fits() -> None:
    """Until the crew suffices the reason is shown, but not before anybody was asked; then it is loaded, once."""
    backend = Loaded()
    async with loading(backend) as made:
        assert (made.loads[0].waiting, backend.plans) == (None, [])
        load = await tell(made)
        assert (load.waiting, backend.plans) == ("needs 2 GB, has 1 GB", [])
        assert load.health() == Health(ready=False, reason="needs 2 GB, has 1 GB")
        assert made.placed()[0].waiting == "needs 2 GB, has 1 GB"
        load = await tell(made, A)
        assert (load.waiting, backend.plans) == (None, ["a"])
        assert made.holders() == {A.offer.key: "m"}
        assert made.placed()[0].plan == load.plan
        await tell(made, A)
    assert backend.plans == ["a"]


async def test_what_fits_here_does_not_wait_for_the_crew() -> None:
    """It is loaded before anybody is asked, and stays whoever joins."""
    backend = Loaded(card=a_card("m", placement="local"))
    async with loading(backend) as made:
        assert backend.plans == [""]
        await tell(made, A, B)
    assert backend.plans == [""]


async def test_a_newcomer_is_taken_in_if_that_is_wanted() -> None:
    """With ``keep`` it is not; in neither case does a change of somebody's labels do anything."""
    for on_change, plans in (("reload", ["a", "ab"]), ("keep", ["a"])):
        backend = Loaded()
        async with loading(backend, on_change=on_change) as made:  # pyright: ignore[reportArgumentType]  # widened by the tuple
            await tell(made, A)
            await tell(made, A, B)
            await tell(made, a_worker("a", memory_bytes=1, endpoint=A.endpoint), B)
        assert backend.plans == plans


@pytest.mark.parametrize("on_change", ["reload", "keep"])
async def test_a_lost_worker_is_replaced_at_once_by_those_who_are_left(on_change: OnChange) -> None:
    """Also where newcomers are not taken in; when nobody is left it waits, and goes on when one comes."""
    backend = Loaded()
    async with loading(backend, on_change=on_change) as made:
        await tell(made, A, B)
        await tell(made, B)
        assert backend.plans == ["ab", "b"]
        load = await tell(made)
        assert (load.waiting, load.plan) == ("needs 2 GB, has 1 GB", None)
        await tell(made, B)
    assert backend.plans == ["ab", "b", "b"]


async def test_a_loss_while_loading_starts_over() -> None:
    """The load under way is given up; a newcomer, though, is looked at when it is done."""
    backend = Loaded()
    async with loading(backend) as made:
        backend.gate = anyio.Event()
        await tell(made, A)
        load = await tell(made, A, B)
        assert (backend.plans, backend.cancelled) == (["a"], 0)
        assert load.coming is not None
        load = await tell(made, B)
        assert (backend.plans, backend.cancelled) == (["a", "b"], 1)
        backend.gate.set()
        await settled()
        assert load.plan is not None
        backend.gate = None
        await tell(made, B, C)
    assert backend.plans == ["a", "b", "bc"]


async def test_a_load_that_fails_for_now_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a pause, and with each of its workers left out in turn when it keeps failing."""
    monkeypatch.setattr("swarmgate.loading._FIRST_PAUSE", 0.01)
    monkeypatch.setattr("swarmgate.loading._LONGEST_PAUSE", 0.01)
    backend = Loaded(*[Unavailable("b is lent to bob") for _ in range(4)])
    async with loading(backend) as made:
        made.tell((A, B))
        with anyio.fail_after(10):
            while made.loads[0].plan is None:  # noqa: ASYNC110 -- nothing to wait on
                await anyio.sleep(0.01)
        assert backend.plans == ["ab", "ab", "b", "a", "ab"]
        assert made.loads[0].waiting is None


async def test_a_load_that_fails_for_good_is_remembered_with_its_reason() -> None:
    """The house goes on, whatever the backend raised; that backend is not tried again."""
    for error, reason in (
        (EngineError("no such file"), "no such file"),
        (ValueError("odd"), "load raised ValueError: odd"),
    ):
        backend = Loaded(error)
        async with loading(backend) as made:
            load = await tell(made, A)
            await tell(made, A, B)
            assert load.health() == Health(ready=False, reason=reason, permanent=True)
        assert backend.plans == ["a"]


async def test_who_has_the_workers_is_told() -> None:
    """A refusal names those that are there and lent to somebody else, and the holder."""
    async with loading(Loaded()) as made:
        lent = replace(A, offer=replace(A.offer, labels={"memory_bytes": "9", "leased_by": "hall"}))
        load = await tell(made, lent)
        assert load.waiting == "needs 2 GB, has 1 GB; not to be had: a (lent to 'hall')"


async def test_one_that_has_failed_before_it_was_asked_takes_nothing() -> None:
    """A file that is no model is never loaded, and its reason stands."""
    backend = Loaded()
    backend.state = Health(ready=False, reason="is cut short", permanent=True)
    async with loading(backend) as made:
        load = await tell(made, A)
        assert (backend.plans, load.waiting, load.health()) == ([], None, backend.state)
        assert made.holders() == {}


async def test_two_models_do_not_get_one_worker() -> None:
    """The second waits until there is another."""
    one, two = Loaded(), Loaded(card=a_card("n", weight_bytes=1))
    async with loading(one, two) as made:
        await tell(made, A)
        assert made.loads[1].waiting == "needs 2 GB, has 1 GB"
        await tell(made, A, B)
        assert made.holders() == {A.offer.key: "m", B.offer.key: "n"}
    assert (one.plans, two.plans) == (["a"], ["b"])
    assert memory_of(A) == 9


async def test_memory_here_is_what_is_free_and_what_is_taken_already_up_to_the_limit() -> None:
    """What a loaded model computes with is not free any more, and is the models' all the same."""
    held = SplitPlan(portions=(Portion(weights=500, cache=30, compute=4),))
    for limit, budget in ((None, 1034), (1010, 1010)):
        made = Loading(Evenly(), here, limit=limit)
        made.add("a", Loaded())
        made.loads[0].plan = held
        assert await made._budget() == budget


async def test_a_backend_without_a_model_is_told_to_load_all_the_same() -> None:
    """It may find its models only then."""

    class Empty(Loaded):
        def models(self) -> tuple[ModelCard, ...]:
            return ()

    backend = Empty()
    async with loading(backend) as made:
        assert made.placed() == ()
    assert backend.plans == [""]


async def test_what_is_let_go_of_is_loaded_no_more() -> None:
    """What is under way is given up first; what it held others may have."""
    backend, other = Loaded(card=a_card("m", weight_bytes=1)), Loaded(card=a_card("n", weight_bytes=1))
    backend.gate = anyio.Event()
    async with loading(backend, other) as made:
        await tell(made, A)
        load = made.loads[0]
        assert (backend.plans, load.state(), other.plans) == (["a"], "loading", [])
        with anyio.fail_after(10):
            await made.remove(load)
        assert (backend.cancelled, load.under_way) == (1, [])
        assert [left.name for left in made.loads] == ["b1"]
        await settled()
        assert other.plans == ["a"]
        assert [placed.backend for placed in made.placed()] == ["b1"]


async def test_its_state_in_a_word() -> None:
    """As its health says, and where that cannot know, what keeps it from being loaded."""
    backend = Loaded(Unavailable("later"))
    load = Load("b", backend)
    assert load.state() == "loading"
    load.waiting = "too large"
    assert load.state() == "waiting"
    load.failed = "no such file"
    assert load.state() == "failed"
    backend.state = Health(ready=True)
    assert load.state() == "loaded"
