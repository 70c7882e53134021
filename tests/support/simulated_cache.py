"""A KV cache as llama.cpp's unified one behaves, and a model that reads only what lies in it."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import chain, islice

from swarmgate_backend_llamacpp.engine.steps import Change, Clear, Compact, Copy, Forget, Park, Step


@dataclass(slots=True)
class Cell:
    """One cell: a token at a position, and whose it is."""

    token: int
    position: int
    owners: set[int] = field(default_factory=set[int])


class SimulatedCache:
    """Cells, and the place where the search for a free one begins (``llama_kv_cache::find_slot``)."""

    def __init__(self, size: int) -> None:
        self.cells: list[Cell | None] = [None] * size
        self._head = self._used = 0
        self._places: dict[int, set[int]] = {}
        self.copied_anew = self.compactions = 0
        self.parked: dict[int, list[tuple[int, int]]] = {}

    def content(self, sequence: int) -> list[tuple[int, int]]:
        """Return *sequence*'s (position, token) in the order its cells lie."""
        places = sorted(self._places.get(sequence, ()))
        return [(cell.position, cell.token) for place in places if (cell := self.cells[place])]

    def change(self, change: Change) -> list[int]:
        """Do what the engine's loop does for *change*; return the sequences that found no room."""
        match change:
            case Clear(sequence=sequence):
                self._remove(sequence, 0)
            case Park(sequence=sequence, holder=holder):
                self.parked[holder] = sorted(self.content(sequence))
            case Forget(holder=holder):
                del self.parked[holder]
            case Compact(sequences=sequences):
                return self._compact(sequences)
            case Copy():
                return [] if self._copy(change) else [change.target]
        return []

    def _compact(self, sequences: tuple[int, ...]) -> list[int]:
        self.compactions += 1
        saved = {sequence: sorted(self.content(sequence)) for sequence in sequences}
        for sequence in sequences:
            self._remove(sequence, 0)
        return [
            sequence
            for sequence, held in saved.items()
            if not self._write([(token, position, sequence) for position, token in held])
        ]

    def _copy(self, change: Copy) -> bool:
        assert not self.content(change.target), "a sequence is cleared before it is used again"
        held = self.parked.get(change.source) or self.content(change.source)
        assert sorted(position for position, _ in held)[: change.length] == list(range(change.length))
        if change.anew and self._write([(token, position, change.target) for position, token in held]):
            self.copied_anew += 1
            self._remove(change.target, change.length)
            return True
        for place in self._places.get(change.source, set[int]()):
            cell = self.cells[place]
            if cell and cell.position < change.length:
                cell.owners.add(change.target)
                self._places.setdefault(change.target, set()).add(place)
        return change.source not in self.parked

    def decode(self, step: Step) -> bool:
        """Write the step's rows; False, and nothing changed, if there is no room."""
        rows = [
            (token, row.start + offset, row.task.sequence)
            for row in step.rows
            for offset, token in enumerate(row.tokens)
        ]
        for row in step.rows:
            positions = sorted(position for position, _ in self.content(row.task.sequence))
            assert positions == list(range(row.start)), "rows follow what is there"
        return self._write(rows)

    def in_order(self, sequence: int) -> bool:
        """Return whether *sequence*'s cells lie in the order of their positions."""
        positions = [position for position, _ in self.content(sequence)]
        return positions == sorted(positions)

    def next_token(self, sequence: int) -> int:
        """Return what the model says after all of *sequence*: it depends on every token and position."""
        state = 17
        for position, token in sorted(self.content(sequence)):
            state = (state * 31 + token * 7 + position) % 1_000_003
        return state % 50

    def _write(self, rows: list[tuple[int, int, int]]) -> bool:
        head = 0 if self._head > self._used + 2 * len(rows) else self._head
        order = chain(range(head, len(self.cells)), range(head))
        places = list(islice((index for index in order if self.cells[index] is None), len(rows)))
        if len(places) < len(rows):
            return False
        for index, (token, position, owner) in zip(places, rows, strict=True):
            self.cells[index] = Cell(token, position, {owner})
            self._places.setdefault(owner, set()).add(index)
        self._used += len(places)
        if places:
            self._head = places[-1] + 1
        return True

    def _remove(self, sequence: int, start: int) -> None:
        freed = len(self.cells)
        for index in list(self._places.get(sequence, ())):
            cell = self.cells[index]
            if cell and cell.position >= start:
                cell.owners.discard(sequence)
                self._places[sequence].discard(index)
                if not cell.owners:
                    self.cells[index] = None
                    self._used -= 1
                    freed = min(freed, index)
        self._head = min(self._head, freed)
