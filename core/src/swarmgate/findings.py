"""Which part found which offer.  Pure, but for the ledger that is written through it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager

from swarmgate.contracts import Ledger
from swarmgate.nouns import NodeId, Offer, Service

#: So many offers are remembered, the ones that were posted last.
_REMEMBERED = 4096


class Findings:
    """Remembers by which discoveries each offer was found: the same node may be found in several ways."""

    def __init__(self) -> None:
        self._found: dict[tuple[NodeId, Service, str], tuple[str, ...]] = {}

    def __repr__(self) -> str:
        return f"<Findings of {len(self._found)} offers>"

    def note(self, finder: str, offer: Offer) -> None:
        """Learn that the part called *finder* has posted *offer*."""
        finders = self._found.pop(offer.key, ())
        while len(self._found) >= _REMEMBERED:
            del self._found[next(iter(self._found))]
        self._found[offer.key] = finders if finder in finders else (*finders, finder)

    def forget(self, finder: str, offer: Offer) -> None:
        """Learn that the part called *finder* does not see *offer* any more."""
        left = tuple(each for each in self._found.get(offer.key, ()) if each != finder)
        if left:
            self._found[offer.key] = left
        else:
            self._found.pop(offer.key, None)

    def of(self, offer: Offer) -> tuple[str, ...]:
        """Return the discoveries that found *offer*, in the order in which they did."""
        return self._found.get(offer.key, ())


class Signed:
    """A ledger in which what *finder* posts is noted as its find."""

    def __init__(self, ledger: Ledger, findings: Findings, finder: str) -> None:
        self._ledger, self._findings, self._finder = ledger, findings, finder

    def __repr__(self) -> str:
        return f"<{self._ledger!r} as {self._finder} writes it>"

    def offers(self, service: Service) -> tuple[Offer, ...]:
        """Return what the ledger has."""
        return self._ledger.offers(service)

    async def post(self, offer: Offer) -> None:
        """Post *offer*, and note who found it."""
        self._findings.note(self._finder, offer)
        await self._ledger.post(offer)

    async def withdraw(self, offer: Offer) -> None:
        """Withdraw *offer*."""
        self._findings.forget(self._finder, offer)
        await self._ledger.withdraw(offer)

    def watch(self, service: Service) -> AbstractAsyncContextManager[AsyncIterator[tuple[Offer, ...]]]:
        """Watch the ledger."""
        return self._ledger.watch(service)
