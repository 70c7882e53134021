"""Keeps requests away from a place that fails, and lets them back little by little.  No clock, no loop.

A circuit breaker as M. Nygard describes it ("Release It!", 2007): closed, open, half open.  What it adds is a slow
start: a place that has come back gets its full share only after a while, since its caches are cold.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

State = Literal["closed", "open", "half_open"]


@dataclass(frozen=True, slots=True)
class Tripping:
    """When a breaker opens and closes; times in seconds.

    It opens after *failures* in a row, with 0 never.  It stays open for *open_seconds*, twice as long after each trial
    that failed, up to *longest_seconds*.  *trials* successes in a row close it; from then on the place is used by
    degrees for *slow_start_seconds*.
    """

    failures: int = 3
    open_seconds: float = 2.0
    longest_seconds: float = 60.0
    trials: int = 2
    slow_start_seconds: float = 20.0


@dataclass(slots=True)
class Breaker:
    """What is remembered of one place."""

    tripping: Tripping = field(default_factory=Tripping)
    _failed: int = 0
    _passed: int = 0
    _opened_at: float = -math.inf
    _open_for: float = 0.0
    _closed_at: float = -math.inf
    _tripped: bool = False
    _trying: int = 0

    def state(self, now: float) -> State:
        """Return how it stands at the time *now*."""
        if not self._tripped:
            return "closed"
        return "open" if now < self._opened_at + self._open_for else "half_open"

    def retry_seconds(self, now: float) -> float:
        """Return how long it stays open from *now* on, 0 if it is not open."""
        return max(self._opened_at + self._open_for - now, 0.0) if self._tripped else 0.0

    def admits(self, now: float) -> bool:
        """Return whether a request may go there: always while closed, one at a time while half open."""
        match self.state(now):
            case "closed":
                return True
            case "half_open":
                return self._trying == 0
            case _:
                return False

    def share(self, now: float) -> float:
        """Return what part of its slots the place should get at the time *now*, in (0, 1]."""
        if self._tripped or self.tripping.slow_start_seconds <= 0:
            return 1.0
        return min(max((now - self._closed_at) / self.tripping.slow_start_seconds, 0.1), 1.0)

    @property
    def busy(self) -> bool:
        """Return whether a request is under way there."""
        return self._trying > 0

    def begin(self) -> None:
        """Learn that a request went there."""
        self._trying += 1

    def end(self, now: float, *, failed: bool | None) -> None:
        """Learn how it went; *failed* None is one that says nothing, such as one the client gave up."""
        self._trying -= 1
        if failed is None:
            return
        if not failed:
            self._failed = 0
            self._passed += 1
            if self._tripped and self._passed >= self.tripping.trials:
                self._tripped, self._open_for, self._closed_at = False, 0.0, now
            return
        self._passed = 0
        self._failed += 1
        if self._tripped:
            if now >= self._opened_at + self._open_for:  # a trial; what was under way before says nothing new
                self._open(now, min(self._open_for * 2, self.tripping.longest_seconds))
        elif 0 < self.tripping.failures <= self._failed:
            self._tripped = True
            self._open(now, self.tripping.open_seconds)

    def _open(self, now: float, seconds: float) -> None:
        self._opened_at, self._open_for = now, seconds


class Breakers:
    """One breaker for each place, by its name."""

    def __init__(self, tripping: Tripping | None = None) -> None:
        self._tripping = tripping or Tripping()
        self._breakers: dict[str, Breaker] = {}

    def __repr__(self) -> str:
        return f"<Breakers of {len(self._breakers)} places>"

    def of(self, name: str) -> Breaker:
        """Return the breaker of the place called *name*."""
        breaker = self._breakers.get(name)
        if breaker is None:
            breaker = self._breakers[name] = Breaker(self._tripping)
        return breaker

    def forget(self, names: Iterable[str]) -> None:
        """Forget those that are none of *names*, unless something is under way there."""
        kept = set(names)
        for name in [name for name, breaker in self._breakers.items() if name not in kept and not breaker.busy]:
            del self._breakers[name]
