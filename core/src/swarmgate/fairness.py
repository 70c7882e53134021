"""Whose turn it is among several who ask: deficit round robin over the tokens they ask for.  No clock, no loop.

M. Shreedhar and G. Varghese, "Efficient Fair Queuing using Deficit Round Robin", SIGCOMM 1995.  Everybody who
waits is given the same number of tokens each round, and goes in when what was saved up covers the next request:
whoever asks for long answers gets fewer of them, and a flood from one does not keep the others out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

#: Tokens that everybody is given each round.  Small, so that nobody has many turns in a row: rounds cost nothing here.
QUANTUM = 64


class Asked(Protocol):
    """What must be known of a request: who asks, how urgently against their own others, and for how many tokens."""

    @property
    def key(self) -> str:
        """Return who asks."""
        ...

    @property
    def priority(self) -> int:
        """Return how urgent it is among the requests of the same key; more is sooner."""
        ...

    @property
    def tokens(self) -> int:
        """Return how many tokens of work it is, at a guess."""
        ...


AskedT = TypeVar("AskedT", bound=Asked)


@dataclass(slots=True)
class DeficitRoundRobin:
    """Remembers what each key has saved up, and where the round stands; one per line.

    :meth:`choose` decides and changes nothing, so it may be asked as often as one likes; :meth:`serve` takes the
    chosen one in.  A *priority* orders the requests of one key and takes nothing from the others.
    """

    quantum: int = QUANTUM
    _saved: dict[str, float] = field(default_factory=dict[str, float])
    _turn: str = ""

    def choose(self, waiting: Sequence[AskedT]) -> AskedT:
        """Return who is next of *waiting*, which are not empty and in the order of their arrival."""
        if len(waiting) == 1:
            return waiting[0]
        heads = self._heads(waiting)
        ring = self._ring(list(heads))
        chosen = min(ring, key=lambda key: (self._rounds(key, heads[key]), ring.index(key)))
        return heads[chosen]

    def serve(self, asked: AskedT, waiting: Sequence[AskedT]) -> None:
        """Take in *asked*, whom :meth:`choose` returned for the same *waiting*."""
        if len(waiting) == 1:  # nobody is left, and who waits for nothing saves nothing
            self._saved.clear()
            self._turn = asked.key
            return
        heads = self._heads(waiting)
        ring = self._ring(list(heads))
        rounds = self._rounds(asked.key, asked)
        before = ring.index(asked.key)
        for place, key in enumerate(ring):
            given = rounds if place <= before else max(rounds - 1, 0)  # the last round has not come to those behind
            self._saved[key] = self._saved.get(key, 0.0) + given * self.quantum
        self._saved[asked.key] -= asked.tokens
        self._turn = asked.key
        left = {each.key for each in waiting if each is not asked}
        for key in self._saved.keys() - left:  # who waits for nothing saves nothing
            del self._saved[key]

    def _heads(self, waiting: Sequence[AskedT]) -> dict[str, AskedT]:
        """Return the next request of each key, the keys in the order of their first arrival."""
        heads: dict[str, AskedT] = {}
        for asked in waiting:
            held = heads.get(asked.key)
            if held is None or asked.priority > held.priority:
                heads[asked.key] = asked
        return heads

    def _ring(self, keys: list[str]) -> list[str]:
        """Return *keys* in the order they are asked: the one that had the last turn is the last.

        Who has been asked in this ring before keeps the place; newcomers stand at its end.
        """
        known = [key for key in self._saved if key in keys]
        order = [*known, *(key for key in keys if key not in self._saved)]
        if self._turn in order:
            start = order.index(self._turn) + 1
            order = order[start:] + order[:start]
        return order

    def _rounds(self, key: str, asked: Asked) -> int:
        """Return how many more rounds *key* has to save for *asked*."""
        return max(math.ceil((asked.tokens - self._saved.get(key, 0.0)) / self.quantum), 0)
