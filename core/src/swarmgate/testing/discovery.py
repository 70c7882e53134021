"""What every discovery must do, as tests."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import anyio
import pytest

from swarmgate.api import Discovery, Ledger, MemoryLedger, Service
from swarmgate.testing.ledger import PATIENCE
from swarmgate.testing.makers import an_offer
from swarmgate.testing.streams import until


class DiscoveryContract:
    """Runs a discovery through its contract."""

    def make(self) -> AbstractAsyncContextManager[Discovery]:
        """Return an open discovery in whose world is what :meth:`expected` says."""
        raise NotImplementedError

    def expected(self) -> Sequence[tuple[Service, str]]:
        """Return services and addresses the discovery will find; at least one."""
        raise NotImplementedError

    @asynccontextmanager
    async def running(self, ledger: Ledger) -> AsyncGenerator[Discovery]:
        """Hold a discovery running that supplies *ledger*."""
        async with self.make() as discovery, anyio.create_task_group() as tasks:
            tasks.start_soon(discovery.run, ledger)
            yield discovery
            tasks.cancel_scope.cancel()

    async def supplied(self, ledger: Ledger) -> None:
        """Wait until *ledger* has everything expected."""
        for service, address in self.expected():
            async with ledger.watch(service) as sets:
                await until(sets, lambda offers, address=address: any(address in one.addresses for one in offers))

    @pytest.mark.anyio
    async def test_meets_the_protocol(self) -> None:
        """It has the method a discovery needs."""
        async with self.make() as discovery:
            assert isinstance(discovery, Discovery)

    @pytest.mark.anyio
    async def test_supplies_the_ledger(self) -> None:
        """What is out there comes to stand in the ledger."""
        assert self.expected(), "expected() must name at least one service and address"
        ledger = MemoryLedger()
        with anyio.fail_after(PATIENCE):
            async with self.running(ledger):
                await self.supplied(ledger)

    @pytest.mark.anyio
    async def test_what_it_posts_can_be_used(self) -> None:
        """Every offer has a node, a life ahead of it, and addresses with a scheme."""
        ledger = MemoryLedger()
        with anyio.fail_after(PATIENCE):
            async with self.running(ledger):
                await self.supplied(ledger)
                offers = [offer for service, _ in self.expected() for offer in ledger.offers(service)]
        for offer in offers:
            assert offer.node
            assert offer.lifetime > 0
            assert offer.addresses
            assert all("://" in address for address in offer.addresses)

    @pytest.mark.anyio
    async def test_runs_until_cancelled(self) -> None:
        """It does not end by itself after it has supplied the ledger, and ends when told to."""
        ledger, ended = MemoryLedger(), anyio.Event()

        async def run(discovery: Discovery) -> None:
            try:
                await discovery.run(ledger)
            finally:
                ended.set()

        with anyio.fail_after(PATIENCE):
            async with self.make() as discovery, anyio.create_task_group() as tasks:
                tasks.start_soon(run, discovery)
                await self.supplied(ledger)
                await anyio.wait_all_tasks_blocked()
                assert not ended.is_set()
                tasks.cancel_scope.cancel()
        assert ended.is_set()

    @pytest.mark.anyio
    async def test_leaves_the_offers_of_others_alone(self) -> None:
        """What others posted stands while it runs and after it has ended."""
        ledger = MemoryLedger()
        services = {service for service, _ in self.expected()}
        others = {service: an_offer("somebody-else", service=service) for service in services}
        for offer in others.values():
            await ledger.post(offer)
        with anyio.fail_after(PATIENCE):
            async with self.running(ledger):
                await self.supplied(ledger)
        assert all(others[service] in ledger.offers(service) for service in services)

    @pytest.mark.anyio
    async def test_can_begin_again(self) -> None:
        """After it was cancelled, another run supplies a new ledger."""
        with anyio.fail_after(2 * PATIENCE):
            for _ in range(2):
                ledger = MemoryLedger()
                async with self.running(ledger):
                    await self.supplied(ledger)
