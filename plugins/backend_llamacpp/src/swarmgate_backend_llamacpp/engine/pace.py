"""How many prompt tokens a step may compute so that it takes about as long as it should.  Pure."""

from __future__ import annotations

from dataclasses import dataclass

#: Weight of the newest measurement in the running means.
_NEWEST = 0.3
#: Never fewer: smaller pieces waste more on fixed costs than they give back in smoothness.
_LEAST = 16


@dataclass(slots=True)
class Pace:
    """Learns seconds per prompt token, and gives budgets for a step.

    *shared_seconds* is how long prompts may hold up a step in which answers are being written;
    *alone_seconds* is the longest a step may take when nobody waits for a token, since a cancel is
    seen only between steps.
    """

    shared_seconds: float
    alone_seconds: float
    limit: int
    _per_token: float = 0.0
    _plain_step: float = 0.0

    def budget(self, writing: int) -> int:
        """Return how many prompt tokens to compute beside *writing* answers."""
        seconds = self.shared_seconds if writing else self.alone_seconds
        if not self._per_token:
            return min(self.limit, _LEAST * 4)
        return max(_LEAST, min(self.limit, int(seconds / self._per_token)))

    def measured(self, *, prompt: int, writing: int, seconds: float) -> None:
        """Learn from a step of *prompt* prompt tokens and *writing* answers that took *seconds*."""
        if not prompt:
            self._plain_step = _mean(self._plain_step, seconds / max(1, writing))
            return
        if prompt < _LEAST // 2:
            return  # too few to tell their cost from the step's
        rest = max(seconds - self._plain_step * writing, seconds * 0.1)
        self._per_token = _mean(self._per_token, rest / prompt)


def _mean(old: float, new: float) -> float:
    return new if not old else old + _NEWEST * (new - old)
