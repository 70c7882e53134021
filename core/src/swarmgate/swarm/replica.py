"""One node's copy of the book that all members keep: what is news, what is old, what others lack.  Pure.

Of one key the entry with the highest sequence wins, and only the key's owner can write one; so copies that have seen
the same entries, in whatever order and however often, are the same (a state-based CRDT: per key a maximum).  An offer
stands for its lifetime from the moment it was signed, measured in ages that are passed on with it.  What gossip lost,
comparing digests with a neighbour finds (anti-entropy).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from swarmgate.errors import WireError
from swarmgate.nouns import NodeId, Offer
from swarmgate.swarm.entries import LONGEST_LIFETIME, Entry, Heard, claimed, open_entry, sign_entry
from swarmgate.swarm.gossip import Aged, Digest, Spread, Wants, mark, parcels, read, version, write
from swarmgate.swarm.membership import Membership

#: The most keys one node may have in the book, and the most there may be in all: nobody can fill it.
MOST_OF_ONE, MOST = 64, 8192
#: How long what has lapsed is remembered, in seconds: copies of it are under way no longer than it may stand.
REMEMBERED = 2 * LONGEST_LIFETIME
#: And how many keys are remembered at most, standing ones among them.
_MOST_SEEN = 4 * MOST


@dataclass(frozen=True, slots=True)
class Standing:
    """An entry of the book; it is told to others until the moment *until*, on the caller's clock."""

    heard: Heard
    until: float


@dataclass(frozen=True, slots=True)
class Received:
    """What came of a message.

    *news* are entries that changed the book, each with how long it still stands, in seconds.  *replies* are for
    whoever sent the message, *spread* is for everybody else: what they may not have heard.  Of offers that only go on
    they need not hear by us: it is said to all by whoever made them, and before the last one ends.
    """

    news: tuple[tuple[Heard, float], ...] = ()
    replies: tuple[bytes, ...] = ()
    spread: tuple[bytes, ...] = ()


class Replica:
    """The copy of the node whose *membership* it is.  All times are in seconds on one clock of the caller's.

    *counts* says how many messages and entries were dropped, and why: ``unreadable`` messages, ``refused`` entries
    (forged, foreign, oversized, revoked, or saying what their signer may not), ``old`` and ``lapsed`` ones, and
    ``crowded`` ones for which there was no room.
    """

    def __init__(self, membership: Membership) -> None:
        self._membership = membership
        self._book: dict[bytes, Standing] = {}
        #: Up to which version a key has been seen, and until when that is remembered.
        self._seen: dict[bytes, tuple[int, float]] = {}
        #: Entries as they were written that stand in the book: what comes again need not be examined again.
        self._standing: set[bytes] = set()
        self.counts: Counter[str] = Counter()

    def __repr__(self) -> str:
        return f"<Replica of {len(self._book)} entries>"

    def standing(self, now: float) -> tuple[Offer, ...]:
        """Return the offers that stand at *now*, sorted by key."""
        offers = (
            each.heard.entry.offer
            for each in self._book.values()
            if each.heard.entry.kind == "offer" and each.until > now and each.heard.entry.offer is not None
        )
        return tuple(sorted(offers, key=lambda offer: offer.key))

    def post(self, offer: Offer, now: float) -> bytes:
        """Enter our own *offer* and return the message that tells all others.

        Its sequence is raised above what the book has of its key, from an earlier life of this node.

        Raises:
            WireError: it says more than others would accept, or what our role forbids.

        """
        return self._say(Entry(kind="offer", offer=self._above(offer)), now)

    def withdraw(self, offer: Offer, now: float) -> bytes:
        """Enter the end of our own *offer* and of all older ones of its key; return the message that tells all others.

        Raises:
            WireError: it is not ours.

        """
        seen = self._seen.get(mark(Entry(kind="end", offer=offer)), (-1, 0.0))[0]
        ended = msgspec.structs.replace(offer, sequence=max(offer.sequence, seen // 2), lifetime=LONGEST_LIFETIME)
        return self._say(Entry(kind="end", offer=ended), now)

    def enter(self, data: bytes, now: float) -> bytes | None:
        """Enter an entry that was kept, such as a revocation; return the message that tells others, None if not news.

        Raises:
            WireError: it is not genuine.

        """
        heard = open_entry(self._membership, data)
        if self._take(heard, 0.0, now) is None:
            return None
        return self._written([heard], now)[0]

    def receive(self, data: bytes, now: float, *, direct: bool) -> Received:
        """Take in a message; *direct* says that its sender told it to us alone, so that others may not know.

        What is wrong with it is counted, and raises nothing.
        """
        try:
            message = read(self._membership, data)
        except WireError:
            self.counts["unreadable"] += 1
            return Received()
        match message:
            case Spread(entries):
                return self._hear(entries, now, direct=direct)
            case Digest(held):
                return Received(replies=self._compare(held, now))
            case Wants(marks):
                wanted = (self._book[each].heard for each in dict.fromkeys(marks) if each in self._book)
                return Received(replies=self._written(wanted, now))

    def digest(self, now: float) -> bytes:
        """Return the message that lets another tell us what we lack, and find what it lacks."""
        self.lapse(now)
        return write(self._membership, Digest({key: version(each.heard.entry) for key, each in self._book.items()}))

    def lapse(self, now: float) -> None:
        """Forget what stands no longer at *now*."""
        for key in [key for key, each in self._book.items() if each.until <= now]:
            self._take_out(key)
        for key in [key for key, (_, until) in self._seen.items() if until <= now and key not in self._book]:
            del self._seen[key]

    def banish(self, peer: NodeId) -> tuple[Offer, ...]:
        """Take out what *peer*, who is revoked, had said; return the offers that no longer stand."""
        gone = [
            (key, each.heard.entry.offer)
            for key, each in self._book.items()
            if each.heard.peer.id == peer and each.heard.entry.kind != "revoke"
        ]
        for key, _ in gone:
            self._take_out(key)
        return tuple(offer for _, offer in gone if offer is not None)

    def _say(self, entry: Entry, now: float) -> bytes:
        data = sign_entry(self._membership, entry)
        heard = open_entry(self._membership, data)
        self._take(heard, 0.0, now)
        return self._written([heard], now)[0]

    def _above(self, offer: Offer) -> Offer:
        seen = self._seen.get(mark(Entry(kind="offer", offer=offer)), (-1, 0.0))[0]
        return offer if offer.sequence * 2 > seen else msgspec.structs.replace(offer, sequence=seen // 2 + 1)

    def _hear(self, entries: Iterable[Aged], now: float, *, direct: bool) -> Received:
        news: list[tuple[Heard, float]] = []
        unheard: list[Heard] = []
        for aged in entries:
            if aged.data in self._standing or self._is_old(aged.data):
                self.counts["old"] += 1
                continue
            try:
                heard = open_entry(self._membership, aged.data)
            except WireError:
                self.counts["refused"] += 1
                continue
            before = self._book.get(mark(heard.entry))
            stands = self._take(heard, aged.age, now)
            if stands is not None:
                news.append((heard, stands))
                if before is None or before.until <= now or not _renews(heard.entry, before.heard.entry):
                    unheard.append(heard)
        return Received(news=tuple(news), spread=self._written(unheard, now) if direct else ())

    def _is_old(self, data: bytes) -> bool:
        """Return whether *data* says of itself that it is no news: then it need not be examined whose word it is."""
        entry = claimed(data)
        return entry is not None and version(entry) <= self._seen.get(mark(entry), (-1, 0.0))[0]

    def _take(self, heard: Heard, age: float, now: float) -> float | None:
        """Enter *heard* if it is news; return for how many seconds it still stands, None if it was no news."""
        entry, key = heard.entry, mark(heard.entry)
        if not (math.isfinite(age) and age >= 0):
            self.counts["refused"] += 1
            return None
        if version(entry) <= self._seen.get(key, (-1, 0.0))[0]:
            self.counts["old"] += 1
            return None
        stands = math.inf if entry.offer is None else entry.offer.lifetime - age
        if stands <= 0:
            self.counts["lapsed"] += 1
            return None
        if key not in self._book and self._is_full(heard, now):
            self.counts["crowded"] += 1
            return None
        self._take_out(key)
        self._book[key] = Standing(heard, now + stands)
        self._standing.add(heard.data)
        # a copy that was held back may come later by as much as the entry could stand, and must not count then
        self._seen.pop(key, None)
        self._seen[key] = (version(entry), now + stands + REMEMBERED)
        self._forget()
        return stands

    def _take_out(self, key: bytes) -> None:
        gone = self._book.pop(key, None)
        if gone is not None:
            self._standing.discard(gone.heard.data)

    def _forget(self) -> None:
        """Forget the oldest of what does not stand any more, if too much is remembered."""
        if len(self._seen) > _MOST_SEEN:
            del self._seen[next(key for key in self._seen if key not in self._book)]

    def _is_full(self, heard: Heard, now: float) -> bool:
        if heard.peer.id == self._membership.id or heard.entry.kind == "revoke":
            return False
        if len(self._book) >= MOST:
            self.lapse(now)
        of_one = sum(each.heard.peer.id == heard.peer.id for each in self._book.values())
        return len(self._book) >= MOST or of_one >= MOST_OF_ONE

    def _compare(self, held: dict[bytes, int], now: float) -> tuple[bytes, ...]:
        """Return what brings the sender of a digest up to date, and asks for what we lack ourselves."""
        self.lapse(now)
        lacks = [each.heard for key, each in self._book.items() if held.get(key, -1) < version(each.heard.entry)]
        wants = tuple(key for key, theirs in held.items() if theirs > self._seen.get(key, (-1, 0.0))[0])
        asked = (write(self._membership, Wants(wants[:MOST])),) if wants else ()
        return (*self._written(lacks, now), *asked)

    def _written(self, entries: Iterable[Heard], now: float) -> tuple[bytes, ...]:
        aged = (Aged(self._age(heard, now), heard.data) for heard in entries)
        return tuple(write(self._membership, parcel) for parcel in parcels(aged))

    def _age(self, heard: Heard, now: float) -> float:
        offer = heard.entry.offer
        if offer is None:
            return 0.0
        return max(0.0, offer.lifetime - (self._book[mark(heard.entry)].until - now))


def _renews(entry: Entry, before: Entry) -> bool:
    """Return whether *entry* says nothing but that the offer *before* goes on."""
    if entry.offer is None or before.offer is None or not entry.kind == before.kind == "offer":
        return False
    changed = msgspec.structs.replace(entry.offer, sequence=before.offer.sequence, lifetime=before.offer.lifetime)
    return changed == before.offer
