"""How fast a place reads and writes, from what was seen of it.  Pure: no clock.

Averages weigh newer samples more, so that a machine that gets warm, or busy, is known within ten answers.
"""

from __future__ import annotations

from dataclasses import dataclass

#: How much of its weight a sample keeps with each newer one; ten or so count.
_KEPT = 0.9
#: No sample is taken for shorter, so that rates stay finite.
_SHORTEST_SECONDS = 1e-4
#: The part of the time that grows with the tokens is never taken for less than this share.
_LEAST_SLOPE = 0.1
#: Samples must differ by about this share of their mean before a slope is read out of them.
_SPREAD = 0.2


@dataclass(slots=True)
class Reading:
    """Fits *seconds = start + tokens / rate* to times to the first piece, by decaying least squares.

    The start is what does not depend on the prompt: the way there and back, a slot's making ready.  While all
    prompts are of about one length nothing can be told apart, and all is taken for reading.  Both
    are kept within what the means allow: 0 <= start <= 0.9 times the mean time.
    """

    weight: float = 0.0
    tokens: float = 0.0
    seconds: float = 0.0
    _spread: float = 0.0
    _joint: float = 0.0

    def see(self, tokens: float, seconds: float) -> None:
        """Learn that *tokens* (more than 0) took *seconds*."""
        self.weight = self.weight * _KEPT + 1.0
        gain = 1.0 / self.weight
        by_tokens, by_seconds = tokens - self.tokens, max(seconds, _SHORTEST_SECONDS) - self.seconds
        self.tokens += gain * by_tokens
        self.seconds += gain * by_seconds
        self._spread = (1.0 - gain) * (self._spread + gain * by_tokens * by_tokens)
        self._joint = (1.0 - gain) * (self._joint + gain * by_tokens * by_seconds)

    @property
    def rate(self) -> float:
        """Return the tokens read per second, 0 if nothing was seen."""
        return 1.0 / self._slope() if self.weight else 0.0

    @property
    def start(self) -> float:
        """Return the seconds that pass whatever the prompt."""
        return max(self.seconds - self._slope() * self.tokens, 0.0) if self.weight else 0.0

    def _slope(self) -> float:
        """Return seconds per token."""
        whole = self.seconds / self.tokens
        if self._spread <= (_SPREAD * self.tokens) ** 2:
            return whole
        return min(max(self._joint / self._spread, _LEAST_SLOPE * whole), whole)


@dataclass(slots=True)
class Writing:
    """Averages the seconds each token of an answer takes, over windows of some tokens."""

    weight: float = 0.0
    tokens: float = 0.0
    seconds: float = 0.0

    def see(self, tokens: float, seconds: float) -> None:
        """Learn that *tokens* of one answer took *seconds*."""
        self.weight = self.weight * _KEPT + 1.0
        self.tokens = self.tokens * _KEPT + tokens
        self.seconds = self.seconds * _KEPT + max(seconds, _SHORTEST_SECONDS)

    @property
    def rate(self) -> float:
        """Return the tokens one answer grows by per second, 0 if nothing was seen."""
        return self.tokens / self.seconds if self.weight else 0.0
