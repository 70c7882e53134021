"""Leases, whoever's plans they are for."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
from lenders import Lending, lending, worker_at
from swarmgate.api import Endpoint, Unavailable, background
from swarmgate.testing.answers import PATIENCE
from swarmgate.testing.streams import a_closed_port
from swarmgate_backend_llamacpp.holding import Holding
from swarmgate_backend_llamacpp.options import LlamaCppRpcOptions
from swarmgate_backend_llamacpp.rpc.client import probe
from swarmgate_backend_llamacpp.rpc.in_use import InUse
from swarmgate_backend_llamacpp.rpc.lender import RpcLender

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """Run on asyncio alone: the contract's tests prove that the loop does not matter."""
    return "asyncio"


@asynccontextmanager
async def a_holding(in_use: InUse | None = None) -> AsyncGenerator[Holding]:
    async with background() as tasks:
        yield Holding("alpha", in_use or InUse(), tasks)


async def test_whoever_is_not_there_is_named() -> None:
    """The first of the plan's workers that cannot be had, by its name, with what was found."""
    with a_closed_port() as closed:
        async with a_holding() as holding:
            with pytest.raises(Unavailable, match=rf"worker 'ghost' cannot be used: nothing answers at {closed}"):
                await holding.take([worker_at(closed, "ghost")])
            await holding.keep_only([])
            assert len(holding) == 0


async def test_two_models_cannot_share_a_server_without_leases() -> None:
    """llama.cpp's own server would let the second engine hang: it is refused before anybody connects."""
    in_use, endpoint = InUse(), Endpoint("192.0.2.1", 50052)
    in_use.enter([endpoint])
    async with a_holding(in_use) as holding:
        with pytest.raises(Unavailable, match="worker 'plain' cannot be used: another model of this gateway uses it"):
            await holding.take([worker_at(endpoint, "plain")])


@pytest.mark.engine
async def test_what_is_held_is_told_when_it_is_lost(tmp_path: Path) -> None:
    """A killed lender by its name; until it is there again it cannot be taken."""
    with lending(tmp_path, "mortal") as lender:
        async with a_holding() as holding:
            await holding.take([lender.worker])
            assert holding.keeps_leases(lender.worker)
            assert holding.address(lender.worker) == str(lender.endpoint)
            lender.process.kill()
            with anyio.fail_after(PATIENCE):
                outcome = await holding.lost([lender.worker])
            assert outcome.kind == "lost"
            assert outcome.reason.startswith("worker 'mortal' is gone: the worker at")
            with pytest.raises(Unavailable, match="worker 'mortal' cannot be used"):
                await holding.take([lender.worker])


@pytest.mark.engine
@pytest.mark.parametrize("held", [True, False])
async def test_a_server_that_is_being_restarted_is_waited_for(tmp_path: Path, held: bool) -> None:
    """Whether its lender is ours already or still to be taken."""
    lender = RpcLender(LlamaCppRpcOptions(listen="127.0.0.1:0", threads=1), tmp_path)
    async with lender.lend() as loan, a_holding() as holding:
        worker, server = worker_at(loan.endpoint), lender.server
        assert server is not None
        if held:
            await holding.take([worker])
        server.child.kill()
        with anyio.fail_after(PATIENCE):
            while server.endpoint is not None:  # noqa: ASYNC110 -- seen past the lender, nothing to wait on
                await anyio.sleep(0.001)
            await holding.take([worker])
        assert server.endpoint is not None
        assert server.child.starts == 2


@pytest.mark.engine
async def test_two_may_take_at_once(two_lenders: tuple[Lending, Lending]) -> None:
    """An engine that comes back and one that is to take its place share the lease, and do not refuse each other."""
    worker = two_lenders[0].worker
    async with a_holding() as holding, anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(holding.take, [worker])


@pytest.mark.engine
async def test_what_nobody_needs_is_given_back(two_lenders: tuple[Lending, Lending]) -> None:
    """The others stay; taking what is held already changes nothing."""
    one, other = (lender.worker for lender in two_lenders)
    async with a_holding() as holding:
        await holding.take([one, other])
        await holding.take([one, other])
        await holding.keep_only([one])
        assert len(holding) == 1
        with anyio.fail_after(PATIENCE):
            while (await probe(other.endpoint)).leased_by:  # noqa: ASYNC110 -- told by the far side alone
                await anyio.sleep(0.005)
        assert (await probe(one.endpoint)).leased_by == "alpha"
