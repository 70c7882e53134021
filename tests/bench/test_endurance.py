from __future__ import annotations

from collections.abc import Callable

import pytest
from sidebyside.endurance import Sample, Verdict, judge


def samples(resident: Callable[[float], float], seconds: int = 600) -> list[Sample]:
    return [Sample(float(second), resident(float(second)), 30) for second in range(0, seconds + 1, 2)]


def test_what_stays_flat_passes() -> None:
    """Memory that wavers and a pool that is empty again are no faults."""
    verdict = judge(samples(lambda second: 80.0 + second % 7 / 2), before=12, after=12)
    assert verdict.faults == []
    assert abs(verdict.grown) < 0.2
    assert verdict.allowed == pytest.approx(4.0)


def test_a_leak_is_found() -> None:
    """A megabyte a minute is."""
    verdict = judge(samples(lambda second: 80.0 + second / 60), before=12, after=12)
    assert verdict.grown == pytest.approx(8.0)
    assert verdict.faults == ["memory has grown by 8.0 MB, allowed are 4.0 MB"]


def test_filling_caches_in_the_first_fifth_is_no_leak() -> None:
    """What grows at first and then no more is flat."""
    assert judge(samples(lambda second: 50.0 + min(second, 120.0) / 2), before=12, after=12).grown == pytest.approx(0.0)


def test_a_short_run_may_waver() -> None:
    """Three megabytes are allowed at any rate: allocators take memory by the piece."""
    assert judge(samples(lambda second: 80.0 + second / 60, 60), before=1, after=1).faults == []


def test_descriptors_and_wrong_answers_are_faults() -> None:
    """One descriptor too many is a leak, fewer than before is none."""
    assert Verdict(0, 4, 12, 13, 2).faults == [
        "13 descriptors are open, 12 were before",
        "2 answers were not as they should be",
    ]
    assert Verdict(0, 4, 12, 11, 0).faults == []


def test_too_few_samples_are_no_verdict() -> None:
    """A line needs more than two points."""
    with pytest.raises(ValueError, match="at least 3 samples after the first fifth, found 2"):
        judge(samples(lambda _: 80.0, 4), before=1, after=1)
