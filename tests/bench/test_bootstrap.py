from __future__ import annotations

from math import sqrt
from random import Random
from statistics import stdev

import pytest
from virtual.bootstrap import Interval, differences, mean_interval, ratios


def test_of_two_values_the_interval_is_both() -> None:
    """Means of pairs drawn from 0 and 1 are 0, 1/2 and 1 with 1/4, 1/2 and 1/4: 95 of 100 reach from 0 to 1."""
    assert mean_interval([0.0, 1.0], Random(1)) == Interval(0.5, 0.0, 1.0)


def test_of_many_values_the_interval_is_the_normal_one() -> None:
    """Of 400 values it is the mean plus and minus 1.96 standard errors, as theory has it."""
    dice = Random(1)
    values = [dice.gauss(5.0, 2.0) for _ in range(400)]
    found = mean_interval(values, Random(2), resamples=4000)
    error = 1.96 * stdev(values) / sqrt(400)
    assert found.high - found.middle == pytest.approx(error, rel=0.1)
    assert found.middle - found.low == pytest.approx(error, rel=0.1)


def test_of_ten_values_the_interval_covers_about_nine_times_in_ten() -> None:
    """It is somewhat too narrow for few values, as its docstring says, and by no more than that."""
    dice = Random(3)
    covered = 0
    for _ in range(300):
        found = mean_interval([dice.gauss(0.0, 1.0) for _ in range(10)], dice, resamples=200)
        covered += not found.excludes(0.0)
    assert 0.85 < covered / 300 < 0.95


def test_equal_values_leave_no_doubt() -> None:
    """Where all values are one, so are the bounds."""
    assert mean_interval([3.0] * 5, Random(1)) == Interval(3.0, 3.0, 3.0)
    with pytest.raises(ValueError, match="an interval needs values"):
        mean_interval([], Random(1))


def test_pairs_take_out_what_they_have_in_common() -> None:
    """Where ours is twice theirs in each pair the ratio is 2 without doubt, however much the pairs differ."""
    theirs = [1.0, 10.0, 100.0]
    ours = [2.0, 20.0, 200.0]
    assert ratios(ours, theirs, Random(1)) == pytest.approx((2.0, 2.0, 2.0))
    assert differences([2.0, 11.0, 101.0], theirs, Random(1)) == Interval(1.0, 1.0, 1.0)
    with pytest.raises(ValueError, match="zip"):
        differences([1.0], theirs, Random(1))


def test_dice_repeat_it() -> None:
    """The same dice give the same interval, others another one."""
    values = [1.0, 2.0, 4.0, 8.0, 16.0]
    one, same, other = (mean_interval(values, Random(seed), resamples=50) for seed in (1, 1, 2))
    assert one == same != other
