from __future__ import annotations

from typing import Any

import msgspec
import pytest
from virtual.comparison import compare, hindsight
from virtual.outcome import Outcome


def of(balancer: str, seed: int, seconds: float, **changes: Any) -> Outcome:
    """Return an outcome whose times are *seconds*, or a share of them."""
    plain = Outcome(
        workload="w", balancer=balancer, seed=seed, requests=10, counted=10, seconds=60.0, attempts=12, shed=0,
        failed=1, truncated=0, resumed=2, first_p50=seconds / 2, first_p95=seconds, first_p99=seconds, each_p50=0.05,
        each_p99=0.08, whole_mean=seconds * 2, whole_p50=seconds * 2, whole_p95=seconds * 3, whole_p99=seconds * 4,
        good_share=0.5, good_rate=1.0, token_rate=10.0, odd_share=0.25, held_share=0.5, imbalance=0.1, fairness=None,
    )  # fmt: skip
    return msgspec.structs.replace(plain, **changes)


def test_comparisons_are_within_a_seed() -> None:
    """Times are compared by the mean of logs, shares by the mean of differences, regret to the oracle in seconds."""
    outcomes = [
        of("a", 1, 2.0), of("a", 2, 20.0),
        of("b", 1, 1.0, good_share=0.7), of("b", 2, 5.0, good_share=0.9),
        of("oracle", 1, 0.5), of("oracle", 2, 4.5),
    ]  # fmt: skip
    a, b, best = compare(outcomes, "a")
    assert b.ratios["first_p99"] == pytest.approx((8**-0.5, 0.25, 0.5))  # of 1/2 and 1/4
    assert b.differences["good_share"] == pytest.approx((0.3, 0.2, 0.4))
    assert b.regret == pytest.approx((1.0, 1.0, 1.0))
    assert a.ratios["whole_p50"] == pytest.approx((1.0, 1.0, 1.0))
    assert a.regret == pytest.approx((17.0, 3.0, 31.0))
    assert best.regret == pytest.approx((0.0, 0.0, 0.0))
    assert (b.medians["first_p99"], b.sums["failed"], b.sums["resumed"], b.seeds) == (3.0, 2, 4, 2)


def test_without_an_oracle_there_is_no_regret() -> None:
    """And fairness is there where keys were."""
    (alone,) = compare([of("a", 1, 2.0, fairness=0.9), of("a", 2, 2.0, fairness=0.7)], "a")
    assert alone.regret is None
    assert alone.fairness == pytest.approx(0.8)


def test_other_seeds_are_not_compared() -> None:
    """Pairs are pairs."""
    with pytest.raises(ValueError, match="were not tried with the same seeds"):
        compare([of("a", 1, 2.0), of("b", 2, 2.0)], "a")


def test_hindsight_takes_the_oracle_that_did_best() -> None:
    """By the mean time of a whole answer."""
    assert hindsight([of("oracle", 1, 2.0), of("oracle", 1, 1.0), of("oracle", 1, 3.0)]).first_p99 == 1.0
