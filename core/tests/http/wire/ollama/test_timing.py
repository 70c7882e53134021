from __future__ import annotations

from swarmgate.http.wire.ollama.timing import Course, Durations, rfc3339


def test_durations_are_those_of_the_clock() -> None:
    """Until the first piece, and from then on; later pieces change nothing."""
    times = iter([100.0, 100.5, 101.0, 102.0])
    course = Course(1700000000.0, lambda: next(times))
    course.speaks()
    course.speaks()
    assert course.now() == "2023-11-14T22:13:21Z"
    assert course.durations() == Durations(total=2_000_000_000, prompt=500_000_000, answer=1_500_000_000)


def test_nobody_divides_by_zero() -> None:
    """Where nothing took any time, or nothing was said, durations are 1 at least."""
    course = Course(0.0, lambda: 7.0)
    assert course.durations() == Durations(total=1, prompt=1, answer=1)


def test_times_are_in_rfc_3339() -> None:
    """With fractions where there are some."""
    assert (rfc3339(0), rfc3339(0.25)) == ("1970-01-01T00:00:00Z", "1970-01-01T00:00:00.250000Z")
