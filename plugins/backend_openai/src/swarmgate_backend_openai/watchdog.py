"""Notices that something has not come in time, over and over, at the price of one timer.

A timeout of its own around each wait for the next event costs more than all else that is done for one.  Pure, but
for the timer it is given.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol


class Timer(Protocol):
    """What a loop's ``call_at`` returns."""

    def cancel(self) -> None:
        """Have it not go off."""
        ...


class Watchdog:
    """Calls *bark* once when something expected has not come in time.

    *clock* tells the seconds, and *call_at* calls at a time of that clock.  What comes in time is only noted; a
    timer that goes off too early is set anew.
    """

    def __init__(
        self,
        bark: Callable[[float], None],
        *,
        clock: Callable[[], float],
        call_at: Callable[[float, Callable[[], None]], Timer],
    ) -> None:
        self._bark = bark
        self._clock = clock
        self._call_at = call_at
        self._seconds = 0.0
        self._due = math.inf
        self._set_for = math.inf
        self._timer: Timer | None = None

    def __repr__(self) -> str:
        return f"<Watchdog {'asleep' if self._due == math.inf else f'due at {self._due:.3f}'}>"

    def expect(self, seconds: float) -> None:
        """Bark after *seconds*, which it is told, unless :meth:`rest` is called before."""
        self._seconds, self._due = seconds, self._clock() + seconds
        if self._due < self._set_for:
            self._set()

    def rest(self) -> None:
        """Expect nothing for now."""
        self._due = math.inf

    def stop(self) -> None:
        """Expect nothing any more, and let go of the timer."""
        self.rest()
        if self._timer is not None:
            self._timer.cancel()
            self._timer, self._set_for = None, math.inf

    def _set(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._set_for = self._due
        self._timer = self._call_at(self._due, self._look)

    def _look(self) -> None:
        self._timer, self._set_for = None, math.inf
        if self._due == math.inf:
            return
        if self._clock() < self._due:
            self._set()
        else:
            self._due = math.inf
            self._bark(self._seconds)
