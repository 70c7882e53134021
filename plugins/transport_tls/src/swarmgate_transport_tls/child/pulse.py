"""Whether the other side of a control connection is still there, and how far away.  Pure.

Silence is counted in our own ticks and not by the clock, so that a process that could not run for a while does not
blame the other side for it.
"""

from __future__ import annotations

#: How often each side looks, and the client asks, in seconds.
TICK_SECONDS = 1.0
#: The other side is gone when this many ticks in a row brought nothing: three to four seconds.
MOST_MISSED = 4


class Pulse:
    """One side's view of a control connection."""

    def __init__(self) -> None:
        self.rtt_seconds: float | None = None
        self._missed = 0
        self._number = 0
        self._asked_at: float | None = None

    def __repr__(self) -> str:
        return f"<Pulse {self.rtt_seconds} s, {self._missed} ticks missed>"

    def tick(self) -> bool:
        """Count a tick; return whether the other side still counts as there."""
        self._missed += 1
        return self._missed < MOST_MISSED

    def heard(self) -> None:
        """Learn that something came."""
        self._missed = 0

    def ask(self, now: float) -> int:
        """Return the number of the ping to send at *now*, in seconds of any clock."""
        self._number += 1
        self._asked_at = now
        return self._number

    def answered(self, number: int, now: float) -> bool:
        """Take the pong of *number* in; return whether it told how far away the other side is."""
        if number != self._number or self._asked_at is None:
            return False
        self.rtt_seconds, self._asked_at = now - self._asked_at, None
        return True
