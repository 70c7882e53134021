"""An in-memory ledger with expiry; the book that other ledgers replicate."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio

from swarmgate.nouns import NodeId, Offer, Service

_Key = tuple[NodeId, Service, str]
#: How long a withdrawal is remembered, in seconds: no copy of its offer is under way for longer.
_REMEMBERED_SECONDS = 600.0


class MemoryLedger:
    """Keeps the newest offer of each key until its lifetime runs out."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._offers: dict[_Key, tuple[float, Offer]] = {}
        self._gone: dict[_Key, tuple[float, int]] = {}  # when and up to which sequence, oldest first
        self._changed = anyio.Event()

    def __repr__(self) -> str:
        return f"<MemoryLedger {len(self._offers)} offers>"

    def offers(self, service: Service) -> tuple[Offer, ...]:
        """Return the live offers of *service*, sorted by key."""
        now = self._clock()
        live = (offer for until, offer in self._offers.values() if offer.service == service and until > now)
        return tuple(sorted(live, key=lambda offer: offer.key))

    async def post(self, offer: Offer) -> None:
        """Enter or renew *offer*, unless a newer one was posted or withdrawn."""
        self._forget()
        held = self._offers.get(offer.key)
        if held is not None and held[1].sequence > offer.sequence:
            return
        if self._withdrawn(offer.key) >= offer.sequence:
            return
        self._gone.pop(offer.key, None)
        self._offers[offer.key] = (self._clock() + offer.lifetime, offer)
        self._stir()

    async def withdraw(self, offer: Offer) -> None:
        """Take *offer* and all older ones of its key out."""
        self._forget()
        held = self._offers.get(offer.key)
        if held is not None and held[1].sequence <= offer.sequence:
            del self._offers[offer.key]
            self._stir()
        sequence = max(offer.sequence, self._withdrawn(offer.key))
        self._gone.pop(offer.key, None)
        self._gone[offer.key] = (self._clock(), sequence)

    @asynccontextmanager
    async def watch(self, service: Service) -> AsyncGenerator[AsyncIterator[tuple[Offer, ...]]]:
        """Yield the whole set now, and again after it changed; sleeps until the next expiry."""
        snapshots = self._snapshots(service)
        try:
            yield snapshots
        finally:
            await snapshots.aclose()

    async def _snapshots(self, service: Service) -> AsyncGenerator[tuple[Offer, ...]]:
        seen: tuple[Offer, ...] | None = None
        while True:
            changed, current = self._changed, self.offers(service)
            if current != seen:
                seen = current
                yield current
                continue
            with anyio.move_on_after(self._until_next_expiry(service)):
                await changed.wait()

    def _until_next_expiry(self, service: Service) -> float:
        """Return the seconds to the next lapse of an offer of *service*."""
        self._forget()
        ends = (until for until, offer in self._offers.values() if offer.service == service)
        return max(0.0, min(ends, default=float("inf")) - self._clock())

    def _withdrawn(self, key: _Key) -> int:
        """Return up to which sequence *key* was withdrawn."""
        return self._gone.get(key, (0.0, -1))[1]

    def _forget(self) -> None:
        """Drop the offers that have lapsed, and withdrawals of long ago."""
        now = self._clock()
        for key in [key for key, (until, _) in self._offers.items() if until <= now]:
            del self._offers[key]
        while self._gone and next(iter(self._gone.values()))[0] <= now - _REMEMBERED_SECONDS:
            del self._gone[next(iter(self._gone))]

    def _stir(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()
