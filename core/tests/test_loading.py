from __future__ import annotations

from collections.abc import Sequence

import anyio
import pytest
from swarmgate.chat import ModelCard
from swarmgate.echo import EchoBackend, EchoOptions
from swarmgate.errors import EngineError, Unavailable
from swarmgate.loading import Loader
from swarmgate.nouns import LLAMA_RPC, Endpoint, NodeId, Offer, Worker
from swarmgate.split import OnChange, Share, SplitPlan

pytestmark = pytest.mark.anyio


def a_worker(name: str) -> Worker:
    offer = Offer(node=NodeId(name), service=LLAMA_RPC, name="0", addresses=())
    return Worker(offer=offer, endpoint=Endpoint("127.0.0.1", 1))


class Everywhere:
    """Divides evenly among all workers, and refuses to do without any."""

    def plan(self, model: ModelCard, here: int, workers: Sequence[Worker]) -> SplitPlan:
        assert model.name == "echo"
        assert here == 1000
        if not workers:
            raise Unavailable("needs 2 GB, has 1 GB")
        return SplitPlan(tuple(Share(worker=worker, fraction=1 / len(workers)) for worker in workers))


class Loaded(EchoBackend):
    """Writes down its plans; fails if it is told to."""

    def __init__(self, error: Exception | None = None) -> None:
        super().__init__(EchoOptions())
        self.plans: list[int] = []
        self.error = error

    async def load(self, plan: SplitPlan) -> None:
        await anyio.lowlevel.checkpoint()
        self.plans.append(len(plan.workers))
        if self.error is not None:
            raise self.error


async def here() -> int:
    return 1000


async def loads(backend: Loaded, *crews: tuple[Worker, ...], on_change: OnChange = "keep") -> Loader:
    loader = Loader("a", backend, Everywhere(), here, on_change=on_change)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(loader.run)
        for crew in crews:
            loader.tell(crew)
            await anyio.wait_all_tasks_blocked()
        tasks.cancel_scope.cancel()
    return loader


A, B = a_worker("a"), a_worker("b")


async def test_loads_as_soon_as_the_model_fits() -> None:
    """Until the crew suffices the reason is shown; then it is loaded, once."""
    backend = Loaded()
    loader = await loads(backend, ())
    assert (backend.plans, loader.waiting) == ([], "needs 2 GB, has 1 GB")
    loader = await loads(backend, (), (A,), (A, B))
    assert (backend.plans, loader.waiting) == ([1], None)


async def test_reloads_on_a_change_if_that_is_wanted() -> None:
    """A crew that gives an equal plan changes nothing; one that does not suffice keeps what is loaded."""
    backend = Loaded()
    loader = await loads(backend, (A,), (A, B), (A, B), (), on_change="reload")
    assert backend.plans == [1, 2]
    assert loader.plan is not None
    assert len(loader.plan.workers) == 2


async def test_a_load_that_fails_is_remembered_with_its_reason() -> None:
    """The house goes on, whatever the backend raised."""
    assert (await loads(Loaded(EngineError("no such file")), (A,))).failed == "no such file"
    assert (await loads(Loaded(ValueError("odd")), (A,))).failed == "load raised ValueError: odd"
