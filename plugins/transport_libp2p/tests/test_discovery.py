from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
from libp2p_nodes import LOOPBACK, PATIENCE, contact, sidecars, until
from swarmgate.api import GATEWAY, LLAMA_RPC, Discovery, MemoryLedger, Service
from swarmgate.testing import DiscoveryContract, a_swarm, an_offer
from swarmgate_transport_libp2p.discovery import DhtDiscovery
from swarmgate_transport_libp2p.sidecar import Sidecar

pytestmark = pytest.mark.swarm
ADDRESS = "tls://somewhere"


class TestContract(DiscoveryContract):
    @pytest.fixture(autouse=True)
    async def _world(self, pair: list[Sidecar]) -> AsyncGenerator[None]:
        """Let another node run its own discovery, and offer something."""
        self.here, there = pair
        await contact(there, self.here)
        ledger = MemoryLedger()
        await ledger.post(an_offer("far", node=there.membership.id, addresses=(ADDRESS,), service=GATEWAY))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(DhtDiscovery(there).run, ledger)
            yield
            tasks.cancel_scope.cancel()

    @asynccontextmanager
    async def make(self) -> AsyncGenerator[Discovery]:
        yield DhtDiscovery(self.here)

    def expected(self) -> Sequence[tuple[Service, str]]:
        return [(GATEWAY, ADDRESS)]


@pytest.mark.anyio
async def test_changes_and_ends_are_told(pair: list[Sidecar]) -> None:
    """Without a gossip ledger members tell one another what they offer, and when they offer it no more."""
    here, there = pair
    await contact(there, here)
    offer = an_offer("w", node=there.membership.id)
    mine, theirs = MemoryLedger(), MemoryLedger()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(DhtDiscovery(here).run, mine)
        tasks.start_soon(DhtDiscovery(there).run, theirs)
        await theirs.post(offer)
        await until(lambda: mine.offers(LLAMA_RPC) == (offer,))
        await theirs.withdraw(offer)
        await until(lambda: mine.offers(LLAMA_RPC) == ())
        tasks.cancel_scope.cancel()


@pytest.mark.anyio
async def test_offers_of_others_are_not_told(pair: list[Sidecar]) -> None:
    """What a ledger has from elsewhere is not told as ours, nor by the name of who made it."""
    here, there = pair
    await contact(there, here)
    mine, theirs = MemoryLedger(), MemoryLedger()
    await theirs.post(an_offer("somebody-else"))
    await theirs.post(an_offer("own", node=there.membership.id))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(DhtDiscovery(there).run, theirs)
        tasks.start_soon(DhtDiscovery(here).run, mine)
        await until(lambda: bool(mine.offers(LLAMA_RPC)))
        assert [offer.name for offer in mine.offers(LLAMA_RPC)] == ["own"]
        tasks.cancel_scope.cancel()


@pytest.mark.anyio
async def test_two_that_know_a_third_find_each_other(tmp_path: Path) -> None:
    """With one bootstrap peer in common, members find all others by the DHT."""
    members = a_swarm("owner", "node", "worker")
    async with (
        sidecars(tmp_path / "first", members[0]) as (first,),
        sidecars(
            tmp_path / "others",
            *members[1:],
            bootstrap_peers=[f"{(await first.addresses())[0]}/p2p/{members[0].id}"],
        ) as others,
        anyio.create_task_group() as tasks,
    ):
        for each in (first, *others):
            tasks.start_soon(DhtDiscovery(each).run, MemoryLedger())
        await until(lambda: all(len(each.connected) == 2 for each in (first, *others)))
        tasks.cancel_scope.cancel()


@pytest.mark.anyio
async def test_with_the_dht_disabled_nobody_else_is_found(tmp_path: Path) -> None:
    """Only the bootstrap peers are connected, and those whom other discoveries find."""
    members = a_swarm("owner", "node", "worker")
    async with sidecars(tmp_path / "first", members[0]) as (first,):
        where = f"{(await first.addresses())[0]}/p2p/{members[0].id}"
        async with (
            sidecars(tmp_path / "others", *members[1:], bootstrap_peers=[where]) as others,
            anyio.create_task_group() as tasks,
        ):
            for each in (first, *others):
                tasks.start_soon(DhtDiscovery(each, disable_dht=True).run, MemoryLedger())
            await until(lambda: len(first.connected) == 2)
            await anyio.sleep(3.0)  # with the DHT they find each other in a second
            assert [len(each.connected) for each in others] == [1, 1]
            tasks.cancel_scope.cancel()


@pytest.mark.anyio
async def test_members_met_before_are_found_again(tmp_path: Path) -> None:
    """After a restart a node needs no bootstrap: it dials whom it had dialled."""
    one, other = a_swarm("owner", "owner")
    async with sidecars(tmp_path, one) as (first,):
        async with sidecars(tmp_path, other) as (second,):
            await contact(first, second)
        with anyio.fail_after(PATIENCE):
            async with sidecars(tmp_path, other, listen_maddrs=[LOOPBACK]) as (again,):
                await until(lambda: one.id in again.connected)
