from __future__ import annotations

from math import inf

import anyio
import msgspec
import pytest
from swarmgate.ledger import MemoryLedger
from swarmgate.nouns import GATEWAY, LLAMA_RPC, NodeId, Offer

pytestmark = pytest.mark.anyio


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def an_offer(node: str = "a", sequence: int = 0, lifetime: float = inf, **labels: str) -> Offer:
    return Offer(
        node=NodeId(node),
        service=LLAMA_RPC,
        name="0",
        addresses=(),
        sequence=sequence,
        lifetime=lifetime,
        labels=labels,
    )


async def test_an_offer_lapses_with_its_lifetime() -> None:
    """To the moment; a renewal lengthens it, also one of the same sequence."""
    clock = Clock()
    ledger = MemoryLedger(clock=clock)
    await ledger.post(an_offer(lifetime=10))
    clock.now += 9.9
    assert ledger.offers(LLAMA_RPC)
    await ledger.post(an_offer(lifetime=10))
    clock.now += 9.9
    assert ledger.offers(LLAMA_RPC)
    clock.now += 0.1
    assert ledger.offers(LLAMA_RPC) == ()


async def test_the_newest_wins_in_any_order() -> None:
    """An older sequence never replaces a newer one, nor lengthens its life."""
    clock = Clock()
    ledger = MemoryLedger(clock=clock)
    await ledger.post(an_offer(sequence=2, lifetime=10, version="2"))
    await ledger.post(an_offer(sequence=1, lifetime=99, version="1"))
    assert ledger.offers(LLAMA_RPC)[0].labels == {"version": "2"}
    clock.now += 11
    assert ledger.offers(LLAMA_RPC) == ()


async def test_what_was_withdrawn_stays_withdrawn() -> None:
    """A late copy of it does not come back; a newer one does."""
    ledger = MemoryLedger()
    await ledger.post(an_offer(sequence=3))
    await ledger.withdraw(an_offer(sequence=2))
    assert ledger.offers(LLAMA_RPC), "an older withdrawal takes nothing out"
    await ledger.withdraw(an_offer(sequence=3))
    await ledger.post(an_offer(sequence=3))
    await ledger.post(an_offer(sequence=1))
    assert ledger.offers(LLAMA_RPC) == ()
    await ledger.post(an_offer(sequence=4))
    assert [offer.sequence for offer in ledger.offers(LLAMA_RPC)] == [4]


async def test_a_withdrawal_may_come_before_its_offer() -> None:
    """Messages overtake one another; the offer does not stand up afterwards."""
    ledger = MemoryLedger()
    await ledger.withdraw(an_offer(sequence=5))
    await ledger.post(an_offer(sequence=5))
    assert ledger.offers(LLAMA_RPC) == ()


async def test_what_is_over_is_forgotten_in_time() -> None:
    """A ledger that sees many come and go, withdrawn or lapsed, does not grow for ever."""
    clock = Clock()
    ledger = MemoryLedger(clock=clock)
    for number in range(500):
        offer = an_offer(f"node {number}", lifetime=10)
        await ledger.post(offer)
        if number % 2:
            await ledger.withdraw(offer)
        clock.now += 60
    assert len(ledger._gone) < 20
    assert len(ledger._offers) < 20


async def test_services_are_kept_apart_and_sorted() -> None:
    """One service's offers are not another's, and come in the order of their keys."""
    ledger = MemoryLedger()
    for name in "cab":
        await ledger.post(an_offer(name))
    await ledger.post(msgspec.structs.replace(an_offer("z"), service=GATEWAY))
    assert [offer.node for offer in ledger.offers(LLAMA_RPC)] == ["a", "b", "c"]
    assert [offer.node for offer in ledger.offers(GATEWAY)] == ["z"]


async def test_watchers_hear_the_set_now_and_after_every_change() -> None:
    """Posted, lapsed by itself, withdrawn: each is told as the whole set."""
    ledger = MemoryLedger()
    await ledger.post(an_offer("a"))
    with anyio.fail_after(5):
        async with ledger.watch(LLAMA_RPC) as sets:
            assert [offer.node for offer in await anext(sets)] == ["a"]
            await ledger.post(an_offer("b", lifetime=0.1))
            assert [offer.node for offer in await anext(sets)] == ["a", "b"]
            assert [offer.node for offer in await anext(sets)] == ["a"]
            await ledger.withdraw(an_offer("a"))
            assert await anext(sets) == ()


async def test_a_watcher_is_not_woken_for_nothing() -> None:
    """Another service's offers, and a renewal that changes nothing, are no news."""
    ledger, heard = MemoryLedger(), list[int]()

    async def listen() -> None:
        async with ledger.watch(LLAMA_RPC) as sets:
            async for offers in sets:
                heard.append(len(offers))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(listen)
        await anyio.wait_all_tasks_blocked()
        await ledger.post(msgspec.structs.replace(an_offer(), service=GATEWAY))
        await anyio.wait_all_tasks_blocked()
        await ledger.post(an_offer())
        await anyio.wait_all_tasks_blocked()
        await ledger.post(an_offer())
        await anyio.wait_all_tasks_blocked()
        tasks.cancel_scope.cancel()
    assert heard == [0, 1]


async def test_changes_while_a_watcher_is_busy_are_told_together() -> None:
    """Whoever looks away misses steps, never the state."""
    ledger = MemoryLedger()
    with anyio.fail_after(5):
        async with ledger.watch(LLAMA_RPC) as sets:
            assert await anext(sets) == ()
            for name in "abc":
                await ledger.post(an_offer(name))
            await ledger.withdraw(an_offer("b"))
            assert [offer.node for offer in await anext(sets)] == ["a", "c"]
    assert repr(ledger) == "<MemoryLedger 2 offers>"
