"""The words between what decides the next step and what computes it.  Values only."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from swarmgate_backend_llamacpp.engine.prefixes import Tokens


@dataclass(slots=True, eq=False)
class Task:
    """One answer being written: *tokens* are prompt and answer, the first *done* are in the KV."""

    number: int
    prompt: Tokens
    answer: list[int] = field(default_factory=list[int])
    sequence: int = -1
    done: int = 0
    cached: int = 0
    #: Tokens that had to be computed before the answer could begin, or go on after a preemption.
    target: int = 0

    def __repr__(self) -> str:
        return f"<Task {self.number} seq {self.sequence} {self.done}/{self.length}, prompt {len(self.prompt)}>"

    @property
    def length(self) -> int:
        """Return the number of tokens of prompt and answer so far."""
        return len(self.prompt) + len(self.answer)

    @property
    def prefilling(self) -> bool:
        """Return whether more than the newest token is still to be computed."""
        return self.length - self.done > 1 or self.done < self.target

    def path(self, end: int) -> Tokens:
        """Return the first *end* tokens of prompt and answer."""
        if end <= len(self.prompt):
            return self.prompt[:end]
        return self.prompt + tuple(self.answer[: end - len(self.prompt)])

    def tokens(self, start: int, end: int) -> list[int]:
        """Return the tokens at positions [start, end)."""
        split = len(self.prompt)
        return [*self.prompt[start:end], *self.answer[max(0, start - split) : max(0, end - split)]]


@dataclass(frozen=True, slots=True)
class Clear:
    """Let *sequence* hold nothing any more."""

    sequence: int


@dataclass(frozen=True, slots=True)
class Copy:
    """Let *target* use the first *length* cells of *source*; *anew*: in cells of its own, further up."""

    source: int
    target: int
    length: int
    anew: bool = False


@dataclass(frozen=True, slots=True)
class Park:
    """Put what *sequence* holds aside, out of the cache, as *holder*; the sequence is cleared later."""

    sequence: int
    holder: int


@dataclass(frozen=True, slots=True)
class Forget:
    """Let go of what was parked as *holder*."""

    holder: int


@dataclass(frozen=True, slots=True)
class Compact:
    """Write *sequences* anew, one after the other, into the lowest free cells, those they lie in included."""

    sequences: tuple[int, ...]


Change = Clear | Copy | Park | Forget | Compact


@dataclass(frozen=True, slots=True)
class Rows:
    """Tokens of one sequence at positions from *start*; *sample* asks for logits of the last."""

    task: Task
    start: int
    tokens: list[int]
    sample: bool


@dataclass(slots=True)
class Step:
    """What one decode does: first the changes of who holds which cells, in order; then the rows."""

    changes: list[Change] = field(default_factory=list[Change])
    rows: list[Rows] = field(default_factory=list[Rows])

    @property
    def size(self) -> int:
        """Return the number of tokens to compute."""
        return sum(len(row.tokens) for row in self.rows)

    @property
    def prefill(self) -> int:
        """Return how many of them belong to prompts."""
        return sum(len(row.tokens) for row in self.rows if len(row.tokens) > 1)


def carry_out(changes: Iterable[Change], do: Callable[[Change], list[int]]) -> list[tuple[int, int]]:
    """Have *do* make each of *changes* in order; return the sequences lost by it, and from what.

    *do* returns the sequences that a change could not fill for want of room.  Whoever was to be filled from one of
    them is lost as well, and is not tried: there is nothing to take.
    """
    lost: dict[int, int] = {}
    for change in changes:
        source = change.source if isinstance(change, Copy) else -1
        if isinstance(change, Copy) and source in lost:
            lost[change.target] = source
            continue
        lost.update({sequence: sequence if source < 0 else source for sequence in do(change)})
    return list(lost.items())
