"""Which KV sequences are free, used, or given up but not cleared yet.  Pure.

Floating-point sums depend on their order, and quantized activations turn a difference in the last
bit into one that changes answers.  Flash attention on the CPU adds up a sequence's cells in the
order they lie in the cache, skipping those of others; so an answer comes out the same, bit for bit,
alone or in company, with a shared prefix or without, as long as its cells lie in the order of their
positions.  llama.cpp puts new cells into the first hole after the last ones it wrote, and goes back
when cells below are freed.  Hence two rules, here and in :mod:`.batching`:

* cells are freed rarely and together (a *sweep*), never one answer at a time;
* what lies in the cache from before a sweep is *stale*: new cells could fall below it.  It is
  written anew, in order, before anything is added to it.

``docs/decisions/0014-exact-answers.md`` has the measurements.
"""

from __future__ import annotations

from collections import deque

#: Below this many given-up cells a sweep is not worth what it makes stale.
_LITTLE = 512


class CellBook:
    """Keeps count of sequences and of the cells each of them wrote itself."""

    def __init__(self, sequences: int, *, exact: bool) -> None:
        """*exact* False frees at once and calls nothing stale: faster, but near ties may fall otherwise."""
        self._exact = exact
        self._free = deque(range(sequences))
        self._given_up: list[int] = []
        self._own = [0] * sequences
        self._written_in = [0] * sequences
        self._sweep_number = 0

    def __repr__(self) -> str:
        return f"<CellBook {len(self._free)} free, {len(self._given_up)} given up, sweep {self._sweep_number}>"

    @property
    def free(self) -> int:
        """Return how many sequences can be taken."""
        return len(self._free)

    @property
    def dirty(self) -> bool:
        """Return whether a sweep would free anything."""
        return bool(self._given_up)

    def take(self) -> int:
        """Return an empty sequence; there must be one."""
        sequence = self._free.popleft()
        self._own[sequence] = 0
        self._written_in[sequence] = self._sweep_number
        return sequence

    def wrote(self, sequence: int, count: int) -> None:
        """Note that *sequence* got *count* new cells."""
        self._own[sequence] += count

    def rewrote(self, sequence: int, count: int) -> None:
        """Note that *sequence* lies in *count* new cells of its own, in order."""
        self._own[sequence] = count
        self._written_in[sequence] = self._sweep_number

    def stale(self, sequence: int) -> bool:
        """Return whether new cells of *sequence* could fall below its old ones."""
        return self._exact and self._written_in[sequence] != self._sweep_number

    def give_up(self, sequence: int, *, inherited: bool = False) -> None:
        """Let go of *sequence*; *inherited* cells are all in use by another, so that none becomes free."""
        if inherited:
            self._own[sequence] = 0
        self._given_up.append(sequence)

    def due(self, *, idle: bool) -> bool:
        """Return whether it is time for a sweep: often while nobody writes, else when most cells are waste."""
        if not self._exact:
            return self.dirty
        waste = sum(self._own[sequence] for sequence in self._given_up)
        kept = sum(self._own) - waste - sum(self._own[sequence] for sequence in self._free)
        return waste > max(_LITTLE, kept // 2 if idle else kept)

    def sweep(self) -> list[int]:
        """Return the sequences to clear; they are free then, and what stays is stale if cells came free."""
        swept, self._given_up = self._given_up, []
        if any(self._own[sequence] for sequence in swept):
            self._sweep_number += 1
        for sequence in swept:
            self._own[sequence] = 0
        self._free.extend(swept)
        return swept
