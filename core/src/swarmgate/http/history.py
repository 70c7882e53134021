"""The last minutes in numbers, so that whoever begins to watch sees where they come from.  No clock, no loop."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from swarmgate.metrics import Totals

#: How often a sample is taken, in seconds, and how many are kept: five minutes.
EVERY_SECONDS, KEPT = 2.0, 150


@dataclass(frozen=True, slots=True)
class Count:
    """What had been counted at the time *now*, in seconds of any clock; *written* are the tokens of each backend.

    *running* and *waiting* are requests at that moment, *ready* how many that answer were ready.
    """

    at: datetime
    now: float
    totals: Totals = field(default_factory=Totals)
    written: Mapping[str, int] = field(default_factory=dict[str, int])
    running: int = 0
    waiting: int = 0
    ready: int = 0


@dataclass(frozen=True, slots=True)
class Sample:
    """What happened between two counts, per second, and what was the case at the second one.

    *first_seconds* is the mean time to an answer's first piece, None where no answer ended.
    """

    at: datetime
    tokens_per_second: float
    requests_per_second: float
    failures_per_second: float
    first_seconds: float | None
    running: int
    waiting: int
    ready: int


class History:
    """Makes samples of counts, and keeps the latest."""

    def __init__(self, kept: int = KEPT) -> None:
        self._samples: deque[Sample] = deque(maxlen=kept)
        self._last: Count | None = None
        self._rates: dict[str, float] = {}

    def __repr__(self) -> str:
        return f"<History of {len(self._samples)} samples>"

    @property
    def samples(self) -> tuple[Sample, ...]:
        """Return the samples, the oldest first."""
        return tuple(self._samples)

    @property
    def rates(self) -> Mapping[str, float]:
        """Return the tokens per second that each backend wrote between the last two counts."""
        return self._rates

    def take(self, count: Count) -> Sample | None:
        """Learn what was counted; return the sample made of it, None for the first count."""
        last, self._last = self._last, count
        if last is None or count.now <= last.now:
            return None
        seconds = count.now - last.now
        # who is not known from before has come with a count of its own, or has begun anew
        self._rates = {
            name: max(written - last.written.get(name, 0), 0) / seconds for name, written in count.written.items()
        }
        answers = count.totals.first_count - last.totals.first_count
        sample = Sample(
            at=count.at,
            tokens_per_second=sum(self._rates.values()),
            requests_per_second=(count.totals.requests - last.totals.requests) / seconds,
            failures_per_second=(count.totals.failed - last.totals.failed) / seconds,
            first_seconds=(count.totals.first_seconds - last.totals.first_seconds) / answers if answers else None,
            running=count.running,
            waiting=count.waiting,
            ready=count.ready,
        )
        self._samples.append(sample)
        return sample
