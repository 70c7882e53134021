"""What is asked of uneven machines, and what is made of what came of it.  Pure: no clock, no I/O."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from statistics import median
from typing import NamedTuple

import msgspec

from sidebyside.figures import percentile

SPEEDS = (1, 2, 8)
#: System prompts, the tokens of each, of what follows, and of an answer: ``uneven, shared`` of bench/virtual.
SYSTEMS, SYSTEM, QUESTION, ANSWER = 12, 1500, 100, 64
#: The share of each system prompt that is counted as read, in what the machines can do.
_UNHELD = 0.2

_HEAD = (
    "| contender | first token p50, s | p99, s | p99 by turn, least to greatest | whole answer p99, s | failed"
    " | slow node's share | prompt held |"
)


class Arrival(NamedTuple):
    """One request: when it comes, in seconds from the start, and its prompt."""

    at: float
    system: str
    question: str


class Machine(NamedTuple):
    """What a machine of speed 1 can do: tokens a second read and written, slots, and what one more answer slows."""

    reads: float
    writes: float
    slots: int
    slope: float

    def capacity(self, speeds: Sequence[float] = SPEEDS) -> float:
        """Return how many requests a second *speeds* serve together, if eight in ten system tokens are held."""
        reading = self.reads / (SYSTEM * _UNHELD + QUESTION)
        writing = self.slots * self.writes / (1.0 + self.slope * (self.slots - 1)) / ANSWER
        return sum(speeds) * min(reading, writing)


def systems(seed: int, characters: int) -> list[str]:
    """Return the system prompts, of so many characters a token."""
    dice = Random(f"systems {seed}")  # noqa: S311 - seeded draws make runs repeatable
    return [_text(dice, SYSTEM * characters) for _ in range(SYSTEMS)]


def schedule(seed: int, turn: int, heads: Sequence[str], rate: float, seconds: float) -> list[Arrival]:
    """Return what comes in a *turn* of so many seconds, *rate* a second (Poisson); the k-th head is as popular as 1/k.

    Questions are other ones in each turn.
    """
    dice = Random(f"{seed} {turn}")  # noqa: S311 - seeded draws make runs repeatable
    popular = [1.0 / rank for rank in range(1, len(heads) + 1)]
    characters = len(heads[0]) // SYSTEM
    found: list[Arrival] = []
    now = dice.expovariate(rate)
    while now < seconds:
        found.append(Arrival(now, dice.choices(heads, popular)[0], _text(dice, QUESTION * characters)))
        now += dice.expovariate(rate)
    return found


def _text(dice: Random, characters: int) -> str:
    word = f"{dice.getrandbits(64):016x} "
    return (word * (characters // len(word) + 1))[:characters]


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one turn of one contender.  Seconds run from when a request was due; failed ones are not in them."""

    firsts: list[float]
    wholes: list[float]
    failures: list[str]
    late_p99: float
    """How late the client itself sent."""
    asked: list[int]
    """Requests by node, in the order of `SPEEDS`."""
    prompt_tokens: int
    held_tokens: int


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """All turns of one contender."""

    contender: str
    requests: int
    failed: int
    first_p50: float
    first_p99: float
    first_p99_turns: tuple[float, ...]
    whole_p99: float
    slow_share: float
    held_share: float


def line(contender: str, turns: Sequence[Turn]) -> Line:
    """Return what all *turns* of a contender come to: percentiles over all their requests together."""
    firsts = [first for turn in turns for first in turn.firsts]
    wholes = [whole for turn in turns for whole in turn.wholes]
    failed = sum(len(turn.failures) for turn in turns)
    return Line(
        contender=contender,
        requests=len(firsts) + failed,
        failed=failed,
        first_p50=median(firsts) if firsts else float("inf"),
        first_p99=_p99(firsts),
        first_p99_turns=tuple(_p99(turn.firsts) for turn in turns),
        whole_p99=_p99(wholes),
        slow_share=sum(turn.asked[0] for turn in turns) / max(1, sum(sum(turn.asked) for turn in turns)),
        held_share=sum(turn.held_tokens for turn in turns) / max(1, sum(turn.prompt_tokens for turn in turns)),
    )


def _p99(values: Sequence[float]) -> float:
    return percentile(values, 99) if values else float("inf")


def table(lines: Sequence[Line]) -> str:
    """Return a Markdown table, every line in it; the least of each column of times is set in bold."""
    made = [_HEAD, "|---|" + "---:|" * 7]
    for one in lines:
        cells = [
            one.contender,
            _time(one.first_p50, [other.first_p50 for other in lines]),
            _time(one.first_p99, [other.first_p99 for other in lines]),
            f"{min(one.first_p99_turns):.2f} to {max(one.first_p99_turns):.2f}",
            _time(one.whole_p99, [other.whole_p99 for other in lines]),
            f"{one.failed} of {one.requests}",
            f"{one.slow_share:.1%}",
            f"{one.held_share:.0%}",
        ]
        made.append(f"| {' | '.join(cells)} |")
    return "\n".join(made)


def _time(value: float, among: Sequence[float]) -> str:
    shown = f"{value:.2f}"
    return f"**{shown}**" if shown == f"{min(among):.2f}" else shown
