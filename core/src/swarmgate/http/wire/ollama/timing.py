"""How long an answer took, as seen from here.  Pure: the clock is given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

_NANOSECONDS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Durations:
    """Nanoseconds: all of it, until the first piece, and from then on.  The last two are at least 1."""

    total: int
    prompt: int
    answer: int


class Course:
    """The course of one answer that began at *since* (seconds since 1970); *clock* counts seconds from whenever."""

    def __init__(self, since: float, clock: Callable[[], float]) -> None:
        self._since, self._clock = since, clock
        self._began = clock()
        self._first: float | None = None

    def __repr__(self) -> str:
        return f"<Course since {self._since}>"

    def speaks(self) -> None:
        """Note that a piece has come."""
        if self._first is None:
            self._first = self._clock()

    def now(self) -> str:
        """Return the time in RFC 3339."""
        return rfc3339(self._since + self._clock() - self._began)

    def durations(self) -> Durations:
        """Return how long it took, if it ends now."""
        end = self._clock()
        first = end if self._first is None else self._first
        return Durations(
            total=_whole(end - self._began), prompt=_whole(first - self._began), answer=_whole(end - first)
        )


def rfc3339(seconds: float) -> str:
    """Return the time that many *seconds* after the beginning of 1970."""
    return datetime.fromtimestamp(seconds, tz=UTC).isoformat().replace("+00:00", "Z")


def _whole(seconds: float) -> int:
    return max(1, round(seconds * _NANOSECONDS))
