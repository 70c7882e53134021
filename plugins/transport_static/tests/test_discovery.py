from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio
import pytest
from structlog.testing import capture_logs
from swarmgate.api import GATEWAY, LLAMA_RPC, Discovery, MemoryLedger, Offer, Service
from swarmgate.testing import DiscoveryContract
from swarmgate_transport_static.discovery import StaticDiscovery


class TestContract(DiscoveryContract):
    @asynccontextmanager
    async def make(self) -> AsyncGenerator[Discovery]:
        yield StaticDiscovery(["127.0.0.1:1"], ["[::1]:2"])

    def expected(self) -> list[tuple[Service, str]]:
        return [(LLAMA_RPC, "tcp://127.0.0.1:1"), (GATEWAY, "tcp://[::1]:2")]


@asynccontextmanager
async def running(discovery: StaticDiscovery) -> AsyncGenerator[MemoryLedger]:
    ledger = MemoryLedger()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(discovery.run, ledger)
        await anyio.wait_all_tasks_blocked()
        yield ledger
        tasks.cancel_scope.cancel()


def addresses(offers: tuple[Offer, ...]) -> list[str]:
    return [address for offer in offers for address in offer.addresses]


@pytest.mark.anyio
async def test_workers_and_nodes_are_offered() -> None:
    """Workers are offers of compute, nodes offers of a whole gateway; loopback needs no warning."""
    with capture_logs() as logs:
        async with running(StaticDiscovery(["127.0.0.1:1, 127.0.0.1:2"], ["[::1]:3"])) as ledger:
            assert addresses(ledger.offers(LLAMA_RPC)) == ["tcp://127.0.0.1:1", "tcp://127.0.0.1:2"]
            assert addresses(ledger.offers(GATEWAY)) == ["tcp://[::1]:3"]
    assert logs == []


@pytest.mark.anyio
async def test_a_bad_entry_is_reported_and_left_out() -> None:
    """The others are offered, and the log names the option and the entry."""
    with capture_logs() as logs:
        async with running(StaticDiscovery(["127.0.0.1", "127.0.0.1:2"])) as ledger:
            assert addresses(ledger.offers(LLAMA_RPC)) == ["tcp://127.0.0.1:2"]
    assert [(log["event"], log["option"]) for log in logs] == [("discovery.entry_refused", "workers")]
    assert "'127.0.0.1' has no port" in logs[0]["reason"]


@pytest.mark.anyio
async def test_says_once_that_the_way_is_unprotected() -> None:
    """Addresses beyond this machine are named in one warning."""
    with capture_logs() as logs:
        async with running(StaticDiscovery(["127.0.0.1:1", "10.0.0.5:50052", "w.lan:50052"])):
            pass
    assert [(log["event"], log["offer"]) for log in logs] == [
        ("discovery.unprotected", ["10.0.0.5:50052", "w.lan:50052"])
    ]


@pytest.mark.anyio
async def test_offers_are_renewed_before_they_lapse() -> None:
    """Entries outlive their lifetime while the discovery runs, and lapse afterwards."""
    with anyio.fail_after(10):
        async with running(StaticDiscovery(["127.0.0.1:1"], lifetime_seconds=0.3)) as ledger:
            async with ledger.watch(LLAMA_RPC) as sets:
                sequences = [(await anext(sets))[0].sequence for _ in range(5)]
            assert sequences == [1, 2, 3, 4, 5]
        async with ledger.watch(LLAMA_RPC) as sets:
            assert len(await anext(sets)) == 1
            assert await anext(sets) == ()
