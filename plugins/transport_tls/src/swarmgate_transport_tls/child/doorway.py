"""Who may stand in the doorway: connections that have not yet shown that they belong to the swarm.  Pure.

Strangers cannot exhaust the listener: when there are too many, the one that has stood longest goes, so that a member,
who shows its knock at once, passes however many others just stand there.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

VisitorT = TypeVar("VisitorT", bound=Hashable)

#: How many may stand there in all, and how many of them from one address.
MOST, MOST_OF_ONE = 256, 64


class Doorway(Generic[VisitorT]):
    """The visitors by address, in the order they came."""

    def __init__(self, *, most: int = MOST, most_of_one: int = MOST_OF_ONE) -> None:
        self._most, self._most_of_one = most, most_of_one
        self._visitors: dict[VisitorT, str] = {}
        self._counts: dict[str, int] = {}

    def __repr__(self) -> str:
        return f"<Doorway with {len(self)} visitors>"

    def __len__(self) -> int:
        return len(self._visitors)

    def enter(self, visitor: VisitorT, address: str) -> VisitorT | None:
        """Let *visitor* stand there; return who has to go for it, if somebody has to."""
        leaving = None
        if self._counts.get(address, 0) >= self._most_of_one:
            leaving = next(other for other, where in self._visitors.items() if where == address)
        elif len(self._visitors) >= self._most:
            leaving = next(iter(self._visitors))
        if leaving is not None:
            self.leave(leaving)
        self._visitors[visitor] = address
        self._counts[address] = self._counts.get(address, 0) + 1
        return leaving

    def leave(self, visitor: VisitorT) -> None:
        """Take *visitor* out; who is not there is ignored."""
        address = self._visitors.pop(visitor, None)
        if address is None:
            return
        self._counts[address] -= 1
        if not self._counts[address]:
            del self._counts[address]


class Knocks:
    """The knocks heard lately, each of which counts once: who has overheard one cannot use it again."""

    def __init__(self, *, most: int = 1 << 16) -> None:
        self._most = most
        self._heard: dict[bytes, None] = {}

    def __repr__(self) -> str:
        return f"<Knocks, {len(self._heard)} heard>"

    def is_new(self, knock: bytes) -> bool:
        """Remember *knock*; return whether it was not remembered already."""
        if knock in self._heard:
            return False
        if len(self._heard) >= self._most:
            del self._heard[next(iter(self._heard))]
        self._heard[knock] = None
        return True
