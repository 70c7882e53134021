"""Posts this node's own offers and renews them for as long as they stand."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio
import msgspec

from swarmgate.background import background
from swarmgate.contracts import Ledger
from swarmgate.nouns import Offer

#: An offer is renewed when so much of its lifetime has passed: two renewals may be lost.
_RENEWED_AFTER = 1 / 3


class Heartbeat:
    """One standing offer of ours, renewed until it is withdrawn."""

    def __init__(self, ledger: Ledger, offer: Offer) -> None:
        self._ledger = ledger
        self._offer = offer
        self._news = anyio.Event()

    def __repr__(self) -> str:
        return f"<Heartbeat of {self._offer.service} at sequence {self._offer.sequence}>"

    @property
    def offer(self) -> Offer:
        """Return the offer as it was last posted."""
        return self._offer

    def relabel(self, labels: dict[str, str]) -> None:
        """Offer the same with other *labels*, at once."""
        if labels != self._offer.labels:
            self._offer = msgspec.structs.replace(self._offer, labels=labels)
            self._news.set()

    def readdress(self, addresses: tuple[str, ...]) -> None:
        """Offer the same at other *addresses*, at once."""
        if addresses != self._offer.addresses:
            self._offer = msgspec.structs.replace(self._offer, addresses=addresses)
            self._news.set()

    async def beat(self) -> None:
        """Post and renew the offer until cancelled."""
        while True:
            self._news = anyio.Event()
            await self._ledger.post(self._offer)
            with anyio.move_on_after(self._offer.lifetime * _RENEWED_AFTER):
                await self._news.wait()
            self._offer = msgspec.structs.replace(self._offer, sequence=self._offer.sequence + 1)

    async def withdraw(self) -> None:
        """Take the offer out, so that nobody has to wait until it lapses."""
        await self._ledger.withdraw(self._offer)


@asynccontextmanager
async def standing(ledger: Ledger, offer: Offer, *, withdraw_seconds: float = 2.0) -> AsyncGenerator[Heartbeat]:
    """Let *offer* stand in *ledger* until the block is left; withdraw it then, if *withdraw_seconds* suffice.

    The sequence of *offer* must be higher than any posted before for its key, by an earlier run
    too: see :attr:`swarmgate.identity.Identity.sequence`.
    """
    heartbeat = Heartbeat(ledger, offer)
    try:
        async with background() as tasks:
            tasks.start_soon(heartbeat.beat)
            yield heartbeat
    finally:
        with anyio.move_on_after(withdraw_seconds, shield=True):
            await heartbeat.withdraw()
