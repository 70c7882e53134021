from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sidebyside.figures import Row, Spread, both, gaps, percentile, ratios, reached, spread

FLOATS = st.floats(min_value=0.001, max_value=1000)


def test_a_percentile_is_one_of_the_values() -> None:
    """Nearest rank: p50 of four is the second, p99 of few is the greatest."""
    assert percentile([4.0, 1.0, 3.0, 2.0], 50) == 2.0
    assert percentile([4.0, 1.0, 3.0, 2.0], 99) == 4.0
    assert percentile([float(number) for number in range(1, 201)], 99) == 198.0


@pytest.mark.parametrize(("values", "percent"), [([], 50), ([1.0], 0), ([1.0], 101)])
def test_a_percentile_of_nothing_is_refused(values: list[float], percent: float) -> None:
    """There is no percentile of nothing, nor one outside (0, 100]."""
    with pytest.raises(ValueError, match="a percentile needs values"):
        percentile(values, percent)


@given(st.lists(FLOATS, min_size=1), st.floats(min_value=0.1, max_value=100))
def test_enough_values_lie_at_or_below_a_percentile(values: list[float], percent: float) -> None:
    """At least the asked share of the values does not exceed the percentile."""
    bound = percentile(values, percent)
    assert bound in values
    assert sum(value <= bound for value in values) >= len(values) * percent / 100 - 1e-9


def test_gaps_that_overlap_the_window_count_in_full() -> None:
    """A wait that was under way at either edge counts with its whole length."""
    assert gaps([0.0, 1.0, 3.0, 7.0, 8.0, 9.0], 2.0, 7.5) == [2.0, 4.0, 1.0]
    assert gaps([0.0, 1.0], 5.0, 6.0) == []


def test_ratios_are_taken_round_by_round() -> None:
    """The machine's mood changes between rounds, so each round is compared with itself."""
    row = Row("room", "what", "s", (1.0, 20.0, 3.0), (2.0, 10.0, 3.0))
    assert ratios(row) == Spread(1.0, 0.5, 2.0)
    assert ratios(Row("room", "what", "s", (1.0,))) is None


@pytest.mark.parametrize(
    ("row", "verdict"),
    [
        (Row("r", "w", "tokens/s", (19.0,), (20.0,), better="higher", aim=0.95), True),
        (Row("r", "w", "tokens/s", (18.9,), (20.0,), better="higher", aim=0.95), False),
        (Row("r", "w", "s", (1.0,), (2.0,), aim=0.5), True),
        (Row("r", "w", "s", (1.1,), (2.0,), aim=0.5), False),
        (Row("r", "w", "MB", (119.0,), aim=120), True),
        (Row("r", "w", "MB", (121.0,), aim=120), False),
        (Row("r", "w", "MB", (121.0,)), None),
    ],
)
def test_an_aim_is_reached_or_missed(row: Row, verdict: bool | None) -> None:
    """The median decides, in the direction that is better; without an aim there is no verdict."""
    assert reached(row) is verdict


def test_fields_are_taken_from_both_sides() -> None:
    """One field of every measurement, in order, as floats."""
    one, other = Spread(1, 2, 3), Spread(4, 5, 6)
    assert both("least", [one, other], [other]) == ((2.0, 5.0), (5.0,))
    assert spread([3.0, 1.0, 2.0]) == Spread(2.0, 1.0, 3.0)
