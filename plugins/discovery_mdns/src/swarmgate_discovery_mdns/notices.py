"""What is announced: of our own offers when anew, when no more; and who is revoked.  Pure.

Each offer has a name drawn by lot, which tells nothing and lasts as long as the offer stands.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import msgspec
from swarmgate.api import Membership, NodeId, Offer, Replica, Service, WireError

from swarmgate_discovery_mdns.txt import to_txt

_Key = tuple[NodeId, Service, str]
#: An announcement is renewed when so much of its lifetime has passed: two renewals may be lost.
_RENEWED_AFTER = 1 / 3


@dataclass(frozen=True, slots=True)
class Notice:
    """What is to be announced under *name*: the record's data *txt*, and *addresses* that have a port for it.

    *last* says that the name goes with it.
    """

    name: str
    txt: bytes
    addresses: tuple[str, ...] = ()
    last: bool = False


@dataclass(frozen=True, slots=True)
class Announced:
    """An offer as it stands on the network."""

    name: str
    offer: Offer
    renew_at: float


class Notices:
    """Keeps what is announced in step with what we offer.

    *draw* gives fresh names.  *refused* says why offers are not announced, by their names.
    """

    def __init__(
        self, membership: Membership, replica: Replica, *, lifetime_seconds: float, draw: Callable[[], str]
    ) -> None:
        self._membership = membership
        self._replica = replica
        self._lifetime = lifetime_seconds
        self._draw = draw
        self._standing: dict[_Key, Announced] = {}
        self._revocations: set[bytes] = set()
        self.refused: dict[str, str] = {}

    def __repr__(self) -> str:
        return f"<Notices of {len(self._standing)} offers>"

    def next_renewal(self) -> float | None:
        """Return when something has to be announced anew, None if nothing is announced."""
        return min((each.renew_at for each in self._standing.values()), default=None)

    def forget_told(self) -> None:
        """Have all announced anew that stands, by the names it has: on another network nobody has heard of it."""
        self._standing = {key: replace(each, renew_at=-math.inf) for key, each in self._standing.items()}
        self._revocations.clear()

    def revoked(self, entries: Iterable[bytes], now: float) -> list[Notice]:
        """Return what is to be announced now that *entries*, signed by owners, say who is revoked.

        Every member announces all it knows of, for as long as it runs: whoever joins, or was away, hears it of anybody.
        """
        fresh = [entry for entry in entries if entry not in self._revocations]
        self._revocations.update(fresh)
        told = [Replica(self._membership).enter(entry, now) for entry in fresh]
        return [Notice(self._draw(), to_txt(message)) for message in told if message is not None]

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
        self._standing[offer.key] = Announced(name, offer, now + self._lifetime * _RENEWED_AFTER)
        return Notice(name, txt, offer.addresses)

    def _end(self, key: _Key, now: float) -> Notice:
        before = self._standing.pop(key)
        try:
            txt = to_txt(self._replica.withdraw(before.offer, now))
        except WireError:  # we have been revoked, and nobody would believe it
            txt = to_txt(b"")
        return Notice(before.name, txt, before.offer.addresses, last=True)


def _says(offer: Offer) -> tuple[object, ...]:
    """Return what of *offer* is worth telling before its time: all but what a renewal changes."""
    return offer.addresses, offer.labels
