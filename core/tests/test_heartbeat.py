from __future__ import annotations

import anyio
import pytest
from swarmgate.heartbeat import standing
from swarmgate.ledger import MemoryLedger
from swarmgate.nouns import LLAMA_RPC, NodeId, Offer

pytestmark = pytest.mark.anyio

OFFER = Offer(node=NodeId("a"), service=LLAMA_RPC, name="0", addresses=("tcp://h:1",), sequence=7, lifetime=1.5)


async def test_an_offer_stands_longer_than_its_lifetime_and_goes_with_the_block() -> None:
    """It is renewed before it lapses, with a higher sequence each time, and withdrawn at the end."""
    ledger = MemoryLedger()
    async with standing(ledger, OFFER):
        await anyio.sleep(1.8)
        (offer,) = ledger.offers(LLAMA_RPC)
        assert offer.sequence >= 8
    assert ledger.offers(LLAMA_RPC) == ()


async def test_new_labels_are_posted_at_once() -> None:
    """What changes is not kept until the next renewal; the same labels again are no news."""
    ledger = MemoryLedger()
    offer = Offer(node=NodeId("a"), service=LLAMA_RPC, name="0", addresses=(), lifetime=3600)
    with anyio.fail_after(5):
        async with standing(ledger, offer) as heartbeat, ledger.watch(LLAMA_RPC) as sets:
            while not await anext(sets):
                pass
            heartbeat.relabel({"free": "1"})
            assert (await anext(sets))[0].labels == {"free": "1"}
            heartbeat.relabel({"free": "1"})
            await anyio.wait_all_tasks_blocked()
            assert heartbeat.offer.sequence == 1


async def test_new_addresses_are_posted_at_once() -> None:
    """Others need not wait for the next renewal to find what has moved; the same addresses again are no news."""
    ledger = MemoryLedger()
    offer = Offer(node=NodeId("a"), service=LLAMA_RPC, name="0", addresses=("fake://one",), lifetime=3600)
    with anyio.fail_after(5):
        async with standing(ledger, offer) as heartbeat, ledger.watch(LLAMA_RPC) as sets:
            while not await anext(sets):
                pass
            heartbeat.readdress(("fake://two",))
            assert (await anext(sets))[0].addresses == ("fake://two",)
            heartbeat.readdress(("fake://two",))
            await anyio.wait_all_tasks_blocked()
            assert heartbeat.offer.sequence == 1


async def test_a_cancelled_house_still_withdraws() -> None:
    """Being cancelled does not leave a dead offer behind."""
    ledger = MemoryLedger()
    with anyio.CancelScope() as scope:
        async with standing(ledger, OFFER):
            await anyio.wait_all_tasks_blocked()
            assert ledger.offers(LLAMA_RPC)
            scope.cancel()
            await anyio.sleep_forever()
    assert ledger.offers(LLAMA_RPC) == ()
