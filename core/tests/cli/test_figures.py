from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from swarmgate.cli.figures import Shot, report, spread


def test_percentiles_are_of_values_that_were_measured() -> None:
    """By nearest rank; what is not known does not count."""
    found = spread([*map(float, range(1, 101)), None])
    assert found is not None
    assert (found.p50, found.p90, found.p99, found.max, found.mean, found.count) == (50, 90, 99, 100, 50.5, 100)
    one = spread([2.0])
    assert one is not None
    assert (one.p50, one.p99, one.max) == (2, 2, 2)
    assert spread([None]) is None


@given(st.lists(st.integers(0, 1000).map(float), min_size=1))
def test_percentiles_are_in_order(values: list[float]) -> None:
    """And none lies outside of what was measured."""
    found = spread(values)
    assert found is not None
    assert min(values) <= found.p50 <= found.p90 <= found.p99 <= found.max == max(values)


def test_a_report_counts_what_was_answered() -> None:
    """Failures are counted by what they say, and their times are left out."""
    good = Shot(began=1.0, ended=4.0, pieces=[2.0, 2.5, 3.5], prompt_tokens=10, tokens=4, worker="a")
    bad = Shot(began=1.0, ended=100.0, pieces=[50.0], error="no slot")
    found = report([good, bad, bad], model="m", concurrency=2, seconds=2.0)
    assert (found.requests, found.failed, found.requests_per_second, found.tokens_per_second) == (3, 2, 0.5, 2.0)
    assert (found.prompt_tokens, found.completion_tokens) == (10, 4)
    assert (found.workers, found.errors) == ({"a": 1}, {"no slot": 2})
    assert found.first_piece is not None
    assert (found.first_piece.max, found.first_piece.count) == (1.0, 1)
    assert found.gap is not None
    assert (found.gap.p50, found.gap.max) == (0.5, 1.0)
    assert found.per_token is not None
    assert found.per_token.mean == pytest.approx(0.5)
    assert found.request is not None
    assert found.request.max == 3.0


def test_a_report_of_nothing_is_one() -> None:
    """With no rates and no spreads."""
    found = report([], model="m", concurrency=1, seconds=0.0)
    assert (found.requests_per_second, found.first_piece, found.per_token) == (0.0, None, None)
