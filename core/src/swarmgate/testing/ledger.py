"""What every ledger must do, as tests."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager

import anyio
import pytest

from swarmgate.api import GATEWAY, LLAMA_RPC, Ledger, Offer, Service
from swarmgate.testing.makers import an_offer
from swarmgate.testing.streams import until

#: How long anything may take before it counts as not happening, in seconds.
PATIENCE = 10.0


class LedgerContract:
    """Runs a ledger through its contract."""

    def make(self) -> AbstractAsyncContextManager[Ledger]:
        """Return a fresh, open, empty ledger."""
        raise NotImplementedError

    async def enter(self, ledger: Ledger, offer: Offer) -> None:
        """Bring *offer* into *ledger*, by a way round its own ``post`` if it has one.

        A ledger that replicates overrides this with what a neighbour would send.
        """
        await ledger.post(offer)

    @pytest.mark.anyio
    async def test_meets_the_protocol(self) -> None:
        """It has every method a ledger needs."""
        async with self.make() as ledger:
            assert isinstance(ledger, Ledger)

    @pytest.mark.anyio
    async def test_begins_empty(self) -> None:
        """A service nobody offers has no offers, and is no error."""
        async with self.make() as ledger:
            assert ledger.offers(Service("unheard-of")) == ()

    @pytest.mark.anyio
    async def test_shows_what_was_posted(self) -> None:
        """Our own offer can be read back at once, under its service alone, with everything it says."""
        offer = an_offer(labels={"memory_bytes": "1"}, addresses=("tcp://10.0.0.1:1", "p2p://x"))
        async with self.make() as ledger:
            await ledger.post(offer)
            assert ledger.offers(LLAMA_RPC) == (offer,)
            assert ledger.offers(GATEWAY) == ()

    @pytest.mark.anyio
    async def test_shows_what_came_from_elsewhere(self) -> None:
        """An offer that came by another way is shown like one of our own."""
        async with self.make() as ledger:
            await self.enter(ledger, an_offer())
            with anyio.fail_after(PATIENCE):
                async with ledger.watch(LLAMA_RPC) as sets:
                    await until(sets, lambda offers: offers == (an_offer(),))

    @pytest.mark.anyio
    async def test_offers_are_sorted_by_key(self) -> None:
        """The order is that of the keys, whatever the order of posting."""
        async with self.make() as ledger:
            for name in ("w2", "w3", "w1"):
                await ledger.post(an_offer(name))
            assert [offer.name for offer in ledger.offers(LLAMA_RPC)] == ["w1", "w2", "w3"]

    @pytest.mark.anyio
    async def test_the_newest_wins(self) -> None:
        """A higher sequence replaces, and a late old copy does not undo it."""
        async with self.make() as ledger:
            for sequence in (1, 3, 2):
                await self.enter(ledger, an_offer(sequence=sequence, labels={"is": str(sequence)}))
            assert [offer.labels["is"] for offer in ledger.offers(LLAMA_RPC)] == ["3"]

    @pytest.mark.anyio
    async def test_keys_are_told_apart(self) -> None:
        """Offers that differ in node, service or name do not replace one another."""
        async with self.make() as ledger:
            first = an_offer("one")
            others = (an_offer("two"), an_offer("one", node=an_offer("two").node))
            for offer in (first, *others, an_offer("one", service=GATEWAY)):
                await ledger.post(offer)
            assert set(map(repr, ledger.offers(LLAMA_RPC))) == set(map(repr, (first, *others)))
            assert len(ledger.offers(GATEWAY)) == 1

    @pytest.mark.anyio
    async def test_withdrawn_is_gone(self) -> None:
        """A withdrawn offer is not shown any more, and the others are."""
        async with self.make() as ledger:
            await ledger.post(an_offer("w1"))
            await ledger.post(an_offer("w2"))
            await ledger.withdraw(an_offer("w1"))
            assert [offer.name for offer in ledger.offers(LLAMA_RPC)] == ["w2"]

    @pytest.mark.anyio
    async def test_withdrawing_the_unknown_is_ignored(self) -> None:
        """Taking out what is not there, once or twice, harms nothing."""
        async with self.make() as ledger:
            await ledger.post(an_offer("w1"))
            for _ in range(2):
                await ledger.withdraw(an_offer("stranger"))
            assert [offer.name for offer in ledger.offers(LLAMA_RPC)] == ["w1"]

    @pytest.mark.anyio
    async def test_withdrawing_the_old_leaves_the_new(self) -> None:
        """What is newer than the withdrawn copy stands."""
        async with self.make() as ledger:
            await ledger.post(an_offer(sequence=5))
            await ledger.withdraw(an_offer(sequence=4))
            assert [offer.sequence for offer in ledger.offers(LLAMA_RPC)] == [5]

    @pytest.mark.anyio
    async def test_a_tombstone_holds_against_older_posts(self) -> None:
        """Late copies of what was withdrawn do not bring it back; a newer offer does."""
        async with self.make() as ledger:
            await ledger.post(an_offer(sequence=5))
            await ledger.withdraw(an_offer(sequence=5))
            for sequence in (4, 5):
                await self.enter(ledger, an_offer(sequence=sequence))
                assert ledger.offers(LLAMA_RPC) == ()
            await ledger.post(an_offer(sequence=6))
            assert [offer.sequence for offer in ledger.offers(LLAMA_RPC)] == [6]

    @pytest.mark.anyio
    async def test_watchers_hear_now_and_after(self) -> None:
        """A watch begins with what is there and goes on with whole sets after each change."""
        async with self.make() as ledger:
            await ledger.post(an_offer("w1"))
            with anyio.fail_after(PATIENCE):
                async with ledger.watch(LLAMA_RPC) as sets:
                    assert [offer.name for offer in await anext(sets)] == ["w1"]
                    await ledger.post(an_offer("w2"))
                    await until(sets, lambda offers: [offer.name for offer in offers] == ["w1", "w2"])
                    await ledger.withdraw(an_offer("w1"))
                    await until(sets, lambda offers: [offer.name for offer in offers] == ["w2"])

    @pytest.mark.anyio
    async def test_a_waiting_watcher_is_woken(self) -> None:
        """A change reaches one that is already waiting for it."""
        async with self.make() as ledger:
            with anyio.fail_after(PATIENCE):
                async with ledger.watch(LLAMA_RPC) as sets, anyio.create_task_group() as tasks:
                    assert await anext(sets) == ()
                    tasks.start_soon(_post_when_all_wait, ledger)
                    await until(sets, lambda offers: len(offers) == 1)

    @pytest.mark.anyio
    async def test_watchers_do_not_disturb_one_another(self) -> None:
        """Each hears everything at its own pace, and one leaving does not end another's watch."""
        async with self.make() as ledger:
            with anyio.fail_after(PATIENCE):
                async with ledger.watch(LLAMA_RPC) as stays:
                    async with ledger.watch(LLAMA_RPC) as leaves:
                        assert await anext(leaves) == ()
                    await ledger.post(an_offer())
                    await until(stays, lambda offers: len(offers) == 1)

    @pytest.mark.anyio
    async def test_offers_lapse(self) -> None:
        """An offer nobody renews goes away after its lifetime, and watchers are told."""
        async with self.make() as ledger:
            await ledger.post(an_offer(lifetime=0.2))
            with anyio.fail_after(PATIENCE):
                async with ledger.watch(LLAMA_RPC) as sets:
                    await until(sets, lambda offers: len(offers) == 1)
                    await until(sets, lambda offers: offers == ())
            assert ledger.offers(LLAMA_RPC) == ()

    @pytest.mark.anyio
    async def test_renewing_keeps_an_offer_standing(self) -> None:
        """A renewed offer lives by its newest lifetime; its neighbour lapses meanwhile."""
        async with self.make() as ledger:
            await ledger.post(an_offer("renewed", lifetime=0.2))
            await ledger.post(an_offer("forgotten", lifetime=0.4))
            await ledger.post(an_offer("renewed", sequence=2, lifetime=60.0))
            with anyio.fail_after(PATIENCE):
                async with ledger.watch(LLAMA_RPC) as sets:
                    await until(sets, lambda offers: [offer.name for offer in offers] == ["renewed"])


async def _post_when_all_wait(ledger: Ledger) -> None:
    await anyio.wait_all_tasks_blocked()
    await ledger.post(an_offer())
