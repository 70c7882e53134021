from __future__ import annotations

from datetime import UTC, datetime

from swarmgate.http.history import Count, History
from swarmgate.metrics import Totals

AT = datetime(2026, 1, 2, tzinfo=UTC)


def count(now: float, totals: Totals | None = None, **written: int) -> Count:
    return Count(at=AT, now=now, totals=totals or Totals(), written=written, running=3, waiting=2, ready=1)


def test_the_first_count_tells_nothing_yet() -> None:
    """There is nothing to compare it with; nor is there if no time has passed."""
    history = History()
    assert history.take(count(1.0, a=5)) is None
    assert history.take(count(1.0, a=9)) is None
    assert (history.samples, dict(history.rates)) == ((), {})


def test_rates_are_per_second_between_two_counts() -> None:
    """Of all, and of each backend; what is the case now is taken over."""
    history = History()
    history.take(count(1.0, Totals(requests=2, failed=1, first_seconds=1.0, first_count=2), a=10, b=0))
    sample = history.take(count(3.0, Totals(requests=6, failed=2, first_seconds=4.0, first_count=4), a=30, b=10))
    assert sample is not None
    assert (sample.tokens_per_second, dict(history.rates)) == (15.0, {"a": 10.0, "b": 5.0})
    assert (sample.requests_per_second, sample.failures_per_second, sample.first_seconds) == (2.0, 0.5, 1.5)
    assert (sample.running, sample.waiting, sample.ready, sample.at) == (3, 2, 1, AT)


def test_no_answer_has_no_first_piece() -> None:
    """The mean of nothing is not zero."""
    history = History()
    history.take(count(0.0))
    sample = history.take(count(1.0))
    assert sample is not None
    assert sample.first_seconds is None


def test_a_backend_that_begins_anew_wrote_nothing_less() -> None:
    """Its count falls, its rate does not; one that has gone has no rate."""
    history = History()
    history.take(count(0.0, a=100, b=5))
    history.take(count(1.0, a=3))
    assert dict(history.rates) == {"a": 0.0}


def test_the_latest_samples_are_kept() -> None:
    """The oldest first, and no more than that."""
    history = History(kept=2)
    for now in range(5):
        history.take(count(float(now), a=now * now))
    assert [sample.tokens_per_second for sample in history.samples] == [5.0, 7.0]
    assert "2 samples" in repr(history)
