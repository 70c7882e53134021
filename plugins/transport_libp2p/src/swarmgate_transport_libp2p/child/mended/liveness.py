"""Whether the other side of a connection still lives: when to ping it, and when to give it up; pure."""

from __future__ import annotations

from enum import Enum, auto

from swarmgate_transport_libp2p.child.mended.limits import Limits

#: A round trip is measured at least this often, in seconds, however busy the connection is.
_MEASURE = 10.0
#: Looks that come no later than this, in seconds, are in time; so late is the most that counts, as more is a stall; and
#: so many times as late as they came it is waited more.
_PUNCTUAL, _LATEST, _LENIENT = 0.1, 1.0, 4.0


class Duty(Enum):
    """What the clock asks for."""

    WAIT = auto()
    PING = auto()
    BURY = auto()


class Liveness:
    """Counts from what was heard last; every time is in seconds of one monotonic clock.

    When the clock jumps (this process was stopped, or starved of its processor), nothing was heard because nobody
    listened: the other side is given its whole time again.  And looks that come late, as on a machine where too much
    runs, make silence last longer before it counts, by so many times as late as they were lately.
    """

    def __init__(self, limits: Limits, now: float) -> None:
        self._limits = limits
        self._heard = self._looked = now
        self._pinged: float | None = None
        self._number = 0
        self._waiting = False
        self._close = True
        self._due, self._late = now, 0.0
        self.round_trip: float | None = None

    @property
    def number(self) -> int:
        """The number of the latest ping."""
        return self._number

    @property
    def silence(self) -> float:
        """For how long the other side may be silent, in seconds."""
        return (self._limits.silence if self._close else self._limits.calm_silence) + _LENIENT * self._late

    def heard(self, now: float) -> None:
        """Note that bytes came."""
        self._heard = now

    def answered(self, number: int, now: float) -> None:
        """Note that ping *number* was answered; only the latest one measures."""
        if self._waiting and number == self._number and self._pinged is not None:
            self.round_trip = now - self._pinged
            self._waiting = False

    def listen(self, *, close: bool, now: float) -> bool:
        """Listen *close*, as for who waits, or calmly; return whether that is a change, and it is to be looked anew.

        Who was listened to calmly may rightly have been silent for long, and is given its whole time.
        """
        if close == self._close:
            return False
        self._close = close
        if close:
            self._heard = now
        return True

    def look(self, now: float) -> tuple[Duty, float]:
        """Return what to do now, and the seconds until the next look."""
        duty, pause = self._look(now)
        self._due = now + pause
        return duty, pause

    def _look(self, now: float) -> tuple[Duty, float]:
        self._late = min(max(now - self._due - _PUNCTUAL, self._late / 2), _LATEST)
        tick, silence = self._limits.ping if self._close else self._limits.calm_ping, self.silence
        if now - self._looked > tick + self._limits.silence / 2:
            self._heard = now
            self._waiting = False
        self._looked = now
        quiet = now - self._heard
        if quiet >= silence:
            return Duty.BURY, 0.0
        until = min(tick, silence - quiet)
        if self._pinged is None or (quiet >= tick and now - self._pinged >= tick):
            return self._ping(now, until)
        if not self._waiting and now - self._pinged >= _MEASURE:
            return self._ping(now, until)
        return Duty.WAIT, until if quiet >= tick else min(until, tick - quiet)

    def _ping(self, now: float, until: float) -> tuple[Duty, float]:
        self._pinged = now
        self._number = (self._number + 1) % 2**32
        self._waiting = True
        return Duty.PING, until
