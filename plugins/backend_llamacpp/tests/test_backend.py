"""The backend between plans: who is held, who answers, what is left behind."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import anyio
import pytest
from lenders import Lending, spread_over, worker_at
from swarmgate.api import GenerateRequest, Resume, SplitPlan, Starting, Unavailable
from swarmgate.testing import a_request
from swarmgate.testing.answers import PATIENCE, until_ready, write
from swarmgate.testing.streams import a_closed_port
from swarmgate_backend_llamacpp.backend import LlamaBackend, open_backend
from swarmgate_backend_llamacpp.options import LlamaOptions
from swarmgate_backend_llamacpp.rpc.client import lease, probe

pytestmark = [pytest.mark.engine, pytest.mark.anyio]

Lenders = tuple[Lending, Lending]


@pytest.fixture
def anyio_backend() -> str:
    """Run on asyncio alone: the contract's tests prove that the loop does not matter."""
    return "asyncio"


def options(path: Path) -> LlamaOptions:
    return LlamaOptions(model=str(path), threads=1, context_size=2048)


def request(**fields: Any) -> GenerateRequest:
    fields = {"max_tokens": 400, "ignore_eos": True, **fields}
    return a_request(**fields)


async def until_free(*lenders: Lending) -> None:
    """Wait until nobody has *lenders*."""
    with anyio.fail_after(PATIENCE):
        for lender in lenders:
            while (await probe(lender.endpoint)).leased_by:  # noqa: ASYNC110 -- told by the far side alone
                await anyio.sleep(0.01)


async def test_workers_are_leased_while_they_are_needed(layered: Path, two_lenders: Lenders) -> None:
    """Each has the gateway's name on it; those a new plan does not need are given back, all of them at the end."""
    one, other = two_lenders
    async with open_backend(options(layered), holder="alpha") as backend:
        card = backend.models()[0]
        await backend.load(spread_over(card, one.worker, other.worker))
        assert [(await probe(each.endpoint)).leased_by for each in two_lenders] == ["alpha", "alpha"]
        await backend.load(spread_over(card, one.worker))
        await until_free(other)
        assert (await probe(one.endpoint)).leased_by == "alpha"
        assert backend.engines == 1
    await until_free(one)


async def test_a_worker_of_somebody_else_is_refused_at_once(layered: Path, two_lenders: Lenders) -> None:
    """With the names of both; what was loaded stays, and what was leased for the plan is given back."""
    one, other = two_lenders
    async with open_backend(options(layered), holder="beta") as backend, lease(other.endpoint, "alpha"):
        await backend.load(SplitPlan())
        pid = backend.pid
        with anyio.fail_after(5), pytest.raises(Unavailable, match=r"worker 'b' cannot be used: .* is lent to 'alpha'"):
            await backend.load(spread_over(backend.models()[0], one.worker, other.worker))
        assert (backend.pid, backend.health().ready, backend.engines) == (pid, True, 1)
        await until_free(one)


async def test_before_anything_is_loaded_a_refusal_is_not_for_good(layered: Path) -> None:
    """A worker that is not there is named, the backend waits for a better plan, and takes it."""
    with a_closed_port() as closed:
        async with open_backend(options(layered)) as backend:
            plan = spread_over(backend.models()[0], worker_at(closed, "ghost"))
            with pytest.raises(Unavailable, match=rf"worker 'ghost' cannot be used: nothing answers at {closed}"):
                await backend.load(plan)
            assert backend.engines == 0
            assert "ghost" in backend.health().reason
            assert not backend.health().permanent
            with pytest.raises(Starting, match="ghost"):
                await write(backend, request())
            await until_ready(backend)


@pytest.mark.parametrize("beside", [True, False])
async def test_an_answer_is_carried_to_another_split(
    layered: Path, two_lenders: Lenders, beside: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With other workers the old engine writes on beside the new one, else it is stopped; the text is the same."""
    one, other = two_lenders
    monkeypatch.setattr("swarmgate_backend_llamacpp.backend._GAP_SECONDS", 0.0)
    monkeypatch.setattr("swarmgate_backend_llamacpp.backend._BESIDE_SECONDS", 0.0)
    async with open_backend(options(layered), holder="alpha") as backend:
        card = backend.models()[0]
        await backend.load(spread_over(card, one.worker))
        whole = await write(backend, request())
        said: list[int] = []
        seen_ready: list[bool] = []

        async def move() -> None:
            target = spread_over(card, other.worker) if beside else spread_over(card, one.worker, other.worker, here=2)
            await backend.load(target)

        async def answer() -> None:
            async with backend.generate(request(max_tokens=None)) as deltas:
                async for delta in deltas:
                    said.extend(delta.token_ids)
                    seen_ready.append(backend.health().ready)
                    if len(seen_ready) == 1:
                        tasks.start_soon(move)

        with anyio.fail_after(PATIENCE):
            async with anyio.create_task_group() as tasks:
                with pytest.raises(Starting, match="is being moved to another split"):
                    await answer()
        assert all(seen_ready) or not beside
        cut = min(len(said), 350)
        rest = await write(backend, request(resume=Resume(token_ids=tuple(said[:cut]), seed=whole.seed or 0)))
        assert tuple(said[:cut]) + rest.token_ids == whole.token_ids


async def test_a_short_answer_is_waited_for(layered: Path, two_lenders: Lenders) -> None:
    """The engine is stopped in a gap between answers, if one comes soon."""
    one, other = two_lenders
    async with open_backend(options(layered), holder="alpha") as backend:
        card = backend.models()[0]
        await backend.load(spread_over(card, one.worker))
        async with backend.generate(request(max_tokens=30)) as deltas, anyio.create_task_group() as tasks:
            await anext(deltas)
            tasks.start_soon(backend.load, spread_over(card, one.worker, other.worker))
            assert [delta.finish async for delta in deltas][-1] == "length"
        assert backend.health().ready


@pytest.mark.parametrize("moment", [0.0, 0.05, 0.3])
async def test_a_cancelled_load_leaves_nothing(layered: Path, two_lenders: Lenders, moment: float) -> None:
    """Neither an engine nor a lease, whenever it comes; the next load is as any other."""
    async with open_backend(options(layered), holder="alpha") as backend:
        plan = spread_over(backend.models()[0], *(each.worker for each in two_lenders))
        with anyio.move_on_after(moment) as scope:
            await backend.load(plan)
        assert scope.cancelled_caught
        assert (backend.engines, backend.pid) == (0, None)
        assert not backend.health().ready
        await until_free(*two_lenders)
        assert await _load_and_write(backend, plan)


async def test_a_newer_plan_ends_an_older_one(layered: Path, two_lenders: Lenders) -> None:
    """Whoever waited for the older one is told; two who ask for the same share one load."""
    one, other = two_lenders
    async with open_backend(options(layered), holder="alpha") as backend:
        card, faults = backend.models()[0], list[str]()

        async def load(plan: SplitPlan) -> None:
            try:
                await backend.load(plan)
            except Unavailable as error:
                faults.append(str(error))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(load, spread_over(card, one.worker))
            await anyio.wait_all_tasks_blocked()
            tasks.start_soon(load, spread_over(card, other.worker))
            tasks.start_soon(load, spread_over(card, other.worker))
        assert faults == ["'m' is not loaded by this plan: another took its place"]
        assert (backend.engines, backend.health().ready) == (1, True)
        await until_free(one)


async def test_an_equal_plan_changes_nothing(layered: Path, two_lenders: Lenders) -> None:
    """The same units for the same workers, whatever their labels say meanwhile: the engine stays."""
    async with open_backend(options(layered), holder="alpha") as backend:
        card = backend.models()[0]
        await backend.load(spread_over(card, two_lenders[0].worker))
        pid = backend.pid
        await backend.load(spread_over(card, worker_at(two_lenders[0].endpoint, "renamed")))
        assert backend.pid == pid
        assert pid is not None
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def _load_and_write(backend: LlamaBackend, plan: SplitPlan) -> str:
    await backend.load(plan)
    return (await write(backend, request(max_tokens=5))).text
