"""When a silence is longer than a place's pace explains, and how often a request may be asked twice.  Pure.

Hedged requests, as J. Dean and L. A. Barroso describe them ("The Tail at Scale", 2013): whoever waits for longer than
is usual is asked for elsewhere too, the first to answer counts, and few enough are for it to cost little.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

#: So many times as long as the place should take to read the prompt is beyond what load or a cold cache do.
_FACTOR = 20.0
#: Tokens per second of a place that nobody has seen read yet: a slow one.
_UNKNOWN_RATE = 10.0
#: Hedges that may come together, when there were few for a while.
_MOST_AT_ONCE = 8.0


def unexplained_seconds(least: float, *, tokens: int, rate: float, start: float) -> float:
    """Return after how many seconds of silence *tokens* to be read do not explain it any more, never below *least*.

    The place reads at *rate* tokens per second, 0 if that is unknown, after a *start* of so many seconds.
    """
    return max(least, _FACTOR * (start + tokens / (rate or _UNKNOWN_RATE)))


@dataclass(slots=True)
class Budget:
    """Lets at most *share* of the requests be hedged, and a few at the start; the share itself is in [0, 1].

    A token bucket: each request puts its share in, each hedge takes one out.
    """

    share: float = 0.05
    _saved: float = 1.0

    def earn(self) -> None:
        """Learn of one more request."""
        self._saved = min(self._saved + self.share, max(_MOST_AT_ONCE, 1.0))

    @property
    def enough(self) -> bool:
        """Return whether one more may be hedged."""
        return self.share > 0 and math.floor(self._saved + 1e-9) >= 1

    def spend(self) -> None:
        """Learn that one was."""
        self._saved -= 1.0
