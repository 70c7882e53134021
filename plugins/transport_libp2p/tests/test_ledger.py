from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from libp2p_nodes import a_context_of, contact, sidecars, until
from structlog.testing import capture_logs
from swarmgate.api import GATEWAY, LLAMA_RPC, Ledger, Offer, Replica, keep_revocation
from swarmgate.swarm.revoked import revoke
from swarmgate.testing import LedgerContract, a_swarm, an_offer
from swarmgate_transport_libp2p import open_gossip
from swarmgate_transport_libp2p.ledger import GossipLedger
from swarmgate_transport_libp2p.options import GossipOptions
from swarmgate_transport_libp2p.sidecar import Sidecar


@pytest.fixture(scope="module", params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Run on both loops, one after the other, so that nodes can be shared."""
    return str(request.param)


pytestmark = pytest.mark.swarm


def ours(sidecar: Sidecar, name: str = "mine", **fields: Any) -> Offer:
    return an_offer(name, node=sidecar.membership.id, **fields)


def names_in(ledger: Ledger) -> set[str]:
    """Return what is offered; pubsub's memory may bring back what an earlier test had posted."""
    return {offer.name for offer in ledger.offers(LLAMA_RPC)}


class TestContract(LedgerContract):
    @pytest.fixture(autouse=True)
    def _nodes(self, pair: list[Sidecar]) -> None:
        self.here = pair[0]

    @asynccontextmanager
    async def make(self) -> AsyncGenerator[Ledger]:
        async with GossipLedger(self.here).running() as ledger:
            yield ledger


@asynccontextmanager
async def books(pair: list[Sidecar]) -> AsyncGenerator[tuple[GossipLedger, GossipLedger]]:
    async with (
        GossipLedger(pair[0], compare_seconds=0.5).running() as one,
        GossipLedger(pair[1], compare_seconds=0.5).running() as other,
    ):
        yield one, other


@pytest.mark.anyio
async def test_what_one_posts_the_other_has(pair: list[Sidecar]) -> None:
    """Offers, renewals and withdrawals reach the other book, with what they say."""
    await contact(*pair)
    offer = ours(pair[0], labels={"memory_bytes": "1"}, addresses=("tls://x", "p2p://y"), sequence=1 << 32)
    async with books(pair) as (one, other):
        await one.post(offer)
        await until(lambda: "mine" in names_in(other))
        (heard,) = [each for each in other.offers(LLAMA_RPC) if each.name == "mine"]
        assert (heard.key, heard.labels, heard.addresses) == (offer.key, offer.labels, offer.addresses)
        assert 0 < heard.lifetime <= offer.lifetime
        await one.post(ours(pair[0], labels={"memory_bytes": "2"}, sequence=(1 << 32) + 1))
        await until(lambda: other.offers(LLAMA_RPC)[0].labels == {"memory_bytes": "2"})
        await one.withdraw(ours(pair[0], sequence=(1 << 32) + 1))
        await until(lambda: other.offers(LLAMA_RPC) == ())


@pytest.mark.anyio
async def test_who_comes_later_is_told_all(pair: list[Sidecar]) -> None:
    """What was posted before a node came is in its book soon: neighbours compare theirs."""
    await contact(*pair)
    async with GossipLedger(pair[0], compare_seconds=0.5).running() as one:
        await one.post(ours(pair[0], "early", sequence=2 << 32))
        async with GossipLedger(pair[1]).running() as other:
            await until(lambda: "early" in names_in(other))
            await one.withdraw(ours(pair[0], "early", sequence=2 << 32))


@pytest.mark.anyio
async def test_offers_of_others_are_not_passed_on(pair: list[Sidecar]) -> None:
    """What a discovery posts stands here alone: nobody can speak for somebody else."""
    await contact(*pair)
    async with books(pair) as (one, other):
        await one.post(an_offer("somebody-else"))
        await one.post(ours(pair[0], "mine", sequence=3 << 32))
        await until(lambda: "mine" in names_in(other))
        assert "somebody-else" in names_in(one)
        assert "somebody-else" not in names_in(other)
        await one.withdraw(ours(pair[0], "mine", sequence=3 << 32))


@pytest.mark.anyio
async def test_forgeries_are_dropped_and_counted(pair: list[Sidecar]) -> None:
    """An entry that was changed on the way changes no book; nor does one from elsewhere."""
    (stranger,) = a_swarm("owner")
    other = pair[1].membership
    replica = Replica(other)
    genuine = replica.post(ours(pair[1], "forged", sequence=4 << 32), 0.0)
    async with GossipLedger(pair[0]).running() as ledger:
        ledger.published(genuine[:-1] + bytes([genuine[-1] ^ 1]))
        ledger.published(Replica(stranger).post(an_offer("foreign", node=stranger.id), 0.0))
        ledger.said(other.id, "sync", b"garbage")
        ledger.said(other.id, "offers", genuine)
        await until(lambda: ledger.counts["unreadable"] == 3)
        assert not {"forged", "foreign"} & names_in(ledger)
        ledger.published(genuine)
        await until(lambda: "forged" in names_in(ledger))


@pytest.mark.anyio
async def test_what_our_role_forbids_stays_here(tmp_path: Path) -> None:
    """A worker's gateway is offered to nobody else, and the log says why."""
    (member,) = a_swarm("worker")
    context = a_context_of(member, tmp_path)
    with capture_logs() as logs:
        async with open_gossip(GossipOptions(), context) as ledger:
            await ledger.post(an_offer("g", node=member.id, service=GATEWAY))
            assert [offer.name for offer in ledger.offers(GATEWAY)] == ["g"]
    (line,) = [log for log in logs if log["event"] == "ledger.not_spread"]
    assert "worker and may not offer" in line["reason"]


@pytest.mark.anyio
async def test_an_offer_tells_where_its_node_is(pair: list[Sidecar]) -> None:
    """Whoever hears of a node by any discovery is soon connected to it: so a swarm needs no DHT."""
    one, other = pair
    (address,) = [f"p2p://{other.membership.id}/gateway?at={where}" for where in (await other.addresses())[:1]]
    async with GossipLedger(one).running() as ledger:
        await ledger.post(an_offer("found", node=other.membership.id, service=GATEWAY, addresses=(address,)))
        await until(lambda: other.membership.id in one.connected)


@pytest.mark.anyio
async def test_a_revocation_takes_offers_down_everywhere(tmp_path: Path) -> None:
    """What an owner revokes is out of all books, cannot come back, and is told to who was away."""
    members = a_swarm("owner", "node", "worker")
    async with sidecars(tmp_path, *members) as (owner, node, worker):
        await contact(owner, node, worker)
        async with (
            GossipLedger(owner).running() as first,
            GossipLedger(node, compare_seconds=0.5).running() as second,
            GossipLedger(worker).running() as third,
        ):
            await third.post(ours(worker))
            await until(lambda: bool(first.offers(LLAMA_RPC) and second.offers(LLAMA_RPC)))
            await keep_revocation(tmp_path, owner.membership, revoke(owner.membership, worker.membership.id))
            await until(lambda: not first.offers(LLAMA_RPC) and not second.offers(LLAMA_RPC))
            assert worker.membership.id in node.membership.revocations
            await until(lambda: worker.membership.id not in owner.connected)
            await until(lambda: worker.membership.id not in node.connected)
            await third.post(ours(worker, sequence=2))
            await third.post(ours(worker, "again"))
            await owner_says_something(owner, first, second)
            assert first.offers(LLAMA_RPC) == second.offers(LLAMA_RPC) == ()


async def owner_says_something(owner: Sidecar, first: GossipLedger, second: GossipLedger) -> None:
    """Wait until something that was said later has arrived."""
    await first.post(ours(owner, "later", service=GATEWAY))
    await until(lambda: bool(second.offers(GATEWAY)))
