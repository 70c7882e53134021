"""From what each request of a bench took to the figures that are shown.  Pure; all times are seconds."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import msgspec

_FEWEST_TOKENS = 2
_DIGITS = 6


@dataclass(slots=True)
class Shot:
    """One request: when it *began*, and when each piece of its answer came, by one clock; *error* if it failed."""

    began: float
    ended: float = 0.0
    pieces: list[float] = field(default_factory=list[float])
    prompt_tokens: int = 0
    tokens: int = 0
    worker: str = ""
    error: str = ""

    @property
    def first(self) -> float | None:
        """Return how long the first piece took, None if none came."""
        return self.pieces[0] - self.began if self.pieces else None

    @property
    def gaps(self) -> list[float]:
        """Return how long each further piece came after the one before."""
        return [later - earlier for earlier, later in zip(self.pieces, self.pieces[1:], strict=False)]

    @property
    def per_token(self) -> float | None:
        """Return how long a token after the first took on average, None if there were too few to say."""
        if self.tokens < _FEWEST_TOKENS or not self.pieces:
            return None
        return (self.pieces[-1] - self.pieces[0]) / (self.tokens - 1)


class Spread(msgspec.Struct, kw_only=True):
    """How a measure is spread: percentiles by nearest rank, the mean, and the largest."""

    p50: float
    p90: float
    p99: float
    mean: float
    max: float
    count: int


class Report(msgspec.Struct, kw_only=True):
    """What came of a bench; times are seconds, and those of failed requests are not among them.

    *gap* is between two arrivals of text, *per_token* the mean time of each answer's tokens after the first.
    """

    model: str
    concurrency: int
    requests: int
    failed: int
    seconds: float
    requests_per_second: float
    prompt_tokens: int
    completion_tokens: int
    tokens_per_second: float
    first_piece: Spread | None
    gap: Spread | None
    per_token: Spread | None
    request: Spread | None
    workers: dict[str, int]
    errors: dict[str, int]


def report(shots: Sequence[Shot], *, model: str, concurrency: int, seconds: float) -> Report:
    """Return the figures of *shots*, which took *seconds* together."""
    good = [shot for shot in shots if not shot.error]
    tokens = sum(shot.tokens for shot in good)
    return Report(
        model=model,
        concurrency=concurrency,
        requests=len(shots),
        failed=len(shots) - len(good),
        seconds=round(seconds, 3),
        requests_per_second=_per(len(good), seconds),
        prompt_tokens=sum(shot.prompt_tokens for shot in good),
        completion_tokens=tokens,
        tokens_per_second=_per(tokens, seconds),
        first_piece=spread(shot.first for shot in good),
        gap=spread(gap for shot in good for gap in shot.gaps),
        per_token=spread(shot.per_token for shot in good),
        request=spread(shot.ended - shot.began for shot in good),
        workers=dict(Counter(shot.worker for shot in good if shot.worker).most_common()),
        errors=dict(Counter(shot.error for shot in shots if shot.error).most_common()),
    )


def spread(values: Iterable[float | None]) -> Spread | None:
    """Return how *values* are spread, None if there are none; what is None does not count."""
    known = sorted(value for value in values if value is not None)
    if not known:
        return None

    def at(share: float) -> float:
        return round(known[max(math.ceil(share * len(known)) - 1, 0)], _DIGITS)

    mean = round(sum(known) / len(known), _DIGITS)
    return Spread(p50=at(0.5), p90=at(0.9), p99=at(0.99), mean=mean, max=at(1.0), count=len(known))


def _per(count: float, seconds: float) -> float:
    return round(count / seconds, 2) if seconds > 0 else 0.0
