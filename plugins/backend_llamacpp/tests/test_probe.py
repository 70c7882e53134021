"""The probe: through the kit, over a real lender and over llama.cpp's own server."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import anyio
import pytest
from swarmgate.api import Endpoint, Probe, Unavailable
from swarmgate.testing import ProbeContract
from swarmgate.testing.streams import until
from swarmgate_backend_llamacpp.options import LlamaCppRpcOptions
from swarmgate_backend_llamacpp.rpc.client import lease
from swarmgate_backend_llamacpp.rpc.in_use import InUse
from swarmgate_backend_llamacpp.rpc.lender import RpcLender, RpcServer
from swarmgate_backend_llamacpp.rpc.messages import Serve
from swarmgate_backend_llamacpp.rpc.probe import RpcProbe, is_news

PATIENCE = 30


@asynccontextmanager
async def a_probe(in_use: InUse | None = None) -> AsyncGenerator[RpcProbe]:
    yield RpcProbe("alpha", in_use or InUse(), lender_seconds=0.1, foreign_seconds=0.3, hello_seconds=1.5)


@asynccontextmanager
async def a_lender(folder: Path) -> AsyncGenerator[tuple[RpcLender, Endpoint]]:
    lender = RpcLender(LlamaCppRpcOptions(listen="127.0.0.1:0", threads=1), folder)
    async with lender.lend() as loan:
        yield lender, loan.endpoint


@asynccontextmanager
async def a_foreign_server() -> AsyncGenerator[Endpoint]:
    server = RpcServer(Serve((), 1, 64 << 20, None))
    async with server.child:
        await server.settle()
        assert server.endpoint is not None
        yield server.endpoint


class _Contract(ProbeContract):
    def make(self) -> AbstractAsyncContextManager[Probe]:
        """Return a probe that asks often."""
        return a_probe()


@pytest.mark.engine
class TestOverLenders(_Contract):
    """Lenders of ours."""

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path

    @asynccontextmanager
    async def _lending(self) -> AsyncGenerator[Endpoint]:
        async with a_lender(self.folder) as (_, endpoint):
            yield endpoint

    def serve(self) -> AbstractAsyncContextManager[Endpoint]:
        """Return a lender."""
        return self._lending()


@pytest.mark.engine
class TestOverForeignServers(_Contract):
    """llama.cpp's own servers."""

    def serve(self) -> AbstractAsyncContextManager[Endpoint]:
        """Return llama.cpp's own server, with no listener of ours before it."""
        return a_foreign_server()


@pytest.fixture
def anyio_backend() -> str:
    """Run what follows on asyncio alone: the contract proves that the loop does not matter."""
    return "asyncio"


def test_jitter_is_no_news() -> None:
    """A change of free memory by a twentieth or less is kept to oneself; any other fact is told."""
    told = {"memory_bytes": "1000", "leased_by": ""}
    assert is_news({}, told)
    assert not is_news(told, told)
    assert not is_news(told, {**told, "memory_bytes": "1050"})
    assert is_news(told, {**told, "memory_bytes": "1051"})
    assert is_news(told, {**told, "memory_bytes": "940"})
    assert is_news(told, {**told, "leased_by": "beta"})
    assert is_news({**told, "memory_bytes": "0"}, {**told, "memory_bytes": "1"})


@pytest.mark.engine
@pytest.mark.anyio
async def test_leases_are_told(tmp_path: Path) -> None:
    """Who has a worker is a label, while it lasts; and that it keeps leases at all."""
    with anyio.fail_after(PATIENCE):
        async with a_lender(tmp_path) as (_, endpoint), a_probe() as probe, probe.watch(endpoint) as reports:
            assert (await anext(reports))["keeps_leases"] == "true"
            async with lease(endpoint, "beta"):
                await until(reports, lambda labels: labels["leased_by"] == "beta")
            await until(reports, lambda labels: labels["leased_by"] == "")


@pytest.mark.engine
@pytest.mark.anyio
async def test_a_server_that_is_being_restarted_is_unavailable(tmp_path: Path) -> None:
    """The lender is there and says why it cannot lend; afterwards it can be looked into again."""
    with anyio.fail_after(PATIENCE):
        async with a_lender(tmp_path) as (lender, endpoint), a_probe() as probe:
            async with probe.watch(endpoint) as reports:
                await anext(reports)
                assert lender.server is not None
                lender.server.child.kill()
                with pytest.raises(Unavailable, match=r"cannot lend now: the RPC server was killed by SIGKILL"):
                    await until(reports, lambda _: False)
            await lender.server.settle()


@pytest.mark.engine
@pytest.mark.anyio
async def test_a_foreign_server_in_use_is_left_alone() -> None:
    """While an engine of ours is connected nothing is asked: it is told as ours, and looked at again afterwards."""
    in_use = InUse()
    with anyio.fail_after(PATIENCE):
        async with a_foreign_server() as endpoint, a_probe(in_use) as probe, probe.watch(endpoint) as reports:
            assert (await anext(reports))["keeps_leases"] == "false"
            async with await anyio.connect_tcp(endpoint.host, endpoint.port):  # whoever asked now would hang
                in_use.enter([endpoint])
                await until(reports, lambda labels: labels["leased_by"] == "alpha")
                async with probe.watch(endpoint) as second:
                    assert (await anext(second))["leased_by"] == "alpha"
            in_use.leave([endpoint])
            await until(reports, lambda labels: labels["leased_by"] == "")
