"""What is announced of our own offers: when anew, when no more.  Pure.

Each offer has a name drawn by lot, which tells nothing and lasts as long as the offer stands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import msgspec
from swarmgate.api import NodeId, Offer, Replica, Service, WireError

from swarmgate_discovery_mdns.txt import to_txt

_Key = tuple[NodeId, Service, str]
#: An announcement is renewed when so much of its lifetime has passed: two renewals may be lost.
_RENEWED_AFTER = 1 / 3


@dataclass(frozen=True, slots=True)
class Notice:
    """What stands, or is to stand, on the network: *txt* is the record's data; *last* says that it ends the offer."""

    name: str
    offer: Offer
    txt: bytes
    renew_at: float
    last: bool = False


class Notices:
    """Keeps what is announced in step with what we offer.

    *draw* gives fresh names.  *refused* says why offers are not announced, by their names.
    """

    def __init__(self, replica: Replica, *, lifetime_seconds: float, draw: Callable[[], str]) -> None:
        self._replica = replica
        self._lifetime = lifetime_seconds
        self._draw = draw
        self._standing: dict[_Key, Notice] = {}
        self.refused: dict[str, str] = {}

    def __repr__(self) -> str:
        return f"<Notices of {len(self._standing)} offers>"

    @property
    def standing(self) -> Mapping[_Key, Notice]:
        """Return what is announced, by the offer's key."""
        return self._standing

    def next_renewal(self) -> float | None:
        """Return when something has to be announced anew, None if nothing is announced."""
        return min((notice.renew_at for notice in self._standing.values()), default=None)

    def take(self, offers: Iterable[Offer], now: float) -> list[Notice]:
        """Return what is to be announced now that we offer *offers*; the last notice of each that ended is among it."""
        ours = {offer.key: offer for offer in offers}
        ended = [self._end(key, now) for key in self._standing.keys() - ours.keys()]
        return ended + [notice for offer in ours.values() if (notice := self._tell(offer, now)) is not None]

    def _tell(self, offer: Offer, now: float) -> Notice | None:
        before = self._standing.get(offer.key)
        if before is not None and now < before.renew_at and _says(before.offer) == _says(offer):
            return None
        lasting = msgspec.structs.replace(offer, lifetime=self._lifetime)
        try:
            txt = to_txt(self._replica.post(lasting, now))
        except WireError as error:  # our role forbids it, or it says too much
            self.refused[offer.name] = str(error)
            return None
        self.refused.pop(offer.name, None)
        name = before.name if before is not None else self._draw()
        self._standing[offer.key] = notice = Notice(name, offer, txt, now + self._lifetime * _RENEWED_AFTER)
        return notice

    def _end(self, key: _Key, now: float) -> Notice:
        before = self._standing.pop(key)
        return Notice(before.name, before.offer, to_txt(self._replica.withdraw(before.offer, now)), now, last=True)


def _says(offer: Offer) -> tuple[object, ...]:
    """Return what of *offer* is worth telling before its time: all but what a renewal changes."""
    return offer.addresses, offer.labels
