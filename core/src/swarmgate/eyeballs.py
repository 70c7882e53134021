"""Which of an offer's addresses is tried when, and which of them first.  Pure.

After RFC 8305 (happy eyeballs, version 2), section 5: addresses are tried in order of preference; the next one begins
when the one before it has failed, or has had a head start of 250 ms; the first that works wins.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence

from swarmgate.nouns import NodeId, Offer, Service

#: The head start that RFC 8305 recommends, in seconds.
HEAD_START = 0.25
#: So many offers are remembered, the ones that were tried last.
_REMEMBERED = 1024


class Race:
    """The tries of one offer's *addresses*, best first; times are in seconds, of any one clock."""

    def __init__(self, addresses: Sequence[str], *, head_start: float = HEAD_START) -> None:
        self._waiting = deque(addresses)
        self._head_start = head_start
        self._running: list[str] = []
        self._due = -math.inf

    def __repr__(self) -> str:
        return f"<Race of {len(self._running)} with {len(self._waiting)} to come>"

    @property
    def over(self) -> bool:
        """Return whether every address has been tried, and has failed."""
        return not self._waiting and not self._running

    @property
    def due(self) -> float:
        """Return when the next address is to be tried; infinity if there is none left."""
        return self._due if self._waiting else math.inf

    def begin(self, now: float) -> str | None:
        """Return the address to be tried from *now* on, None while there is none to begin with."""
        if now < self.due or not self._waiting:
            return None
        address = self._waiting.popleft()
        self._running.append(address)
        self._due = now + self._head_start
        return address

    def failed(self, address: str) -> None:
        """Learn that *address* cannot be reached: if it was begun last, nobody has a head start any more."""
        if self._running and self._running[-1] == address:
            self._due = -math.inf
        self._running.remove(address)
        if not self._running:
            self._due = -math.inf


class Ranking:
    """What is remembered of each offer's addresses: the one that stood comes first, one that was lost comes last."""

    def __init__(self) -> None:
        self._ranks: dict[tuple[NodeId, Service, str], dict[str, int]] = {}

    def __repr__(self) -> str:
        return f"<Ranking of {len(self._ranks)} offers>"

    def order(self, offer: Offer) -> tuple[str, ...]:
        """Return the addresses of *offer* in the order to try them, each once."""
        ranks = self._ranks.get(offer.key, {})
        # sorting is stable: among those of which nothing is remembered the offer's own order holds
        return tuple(sorted(dict.fromkeys(offer.addresses), key=lambda address: ranks.get(address, 0)))

    def stood(self, offer: Offer, address: str) -> None:
        """Learn that *address* could be reached."""
        ranks = self._known(offer)
        for each in [each for each, rank in ranks.items() if rank < 0]:
            del ranks[each]  # it stood before; now another does
        ranks[address] = -1

    def lost(self, offer: Offer, address: str) -> None:
        """Learn that the path by *address*, which had stood, leads nowhere any more."""
        ranks = self._known(offer)
        ranks[address] = max(0, *ranks.values()) + 1 if ranks else 1

    def forget(self, offer: Offer) -> None:
        """Learn that no address works: its node is gone, and that tells nothing about any one of them."""
        self._ranks.pop(offer.key, None)

    def _known(self, offer: Offer) -> dict[str, int]:
        """Return the ranks of the addresses that *offer* still has, to be written on."""
        ranks = self._ranks.pop(offer.key, {})
        while len(self._ranks) >= _REMEMBERED:
            del self._ranks[next(iter(self._ranks))]
        fresh = self._ranks[offer.key] = {address: ranks[address] for address in offer.addresses if address in ranks}
        return fresh
