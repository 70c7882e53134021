from __future__ import annotations

import pytest
from swarmgate.nouns import Candidate, Pick
from swarmgate.setbacks import FIRST_REST, LONGEST_REST, Setbacks

BAD, GOOD = Candidate(name="bad"), Candidate(name="good")


def test_nobody_is_penalised_before_anything_failed() -> None:
    """Successes alone leave no trace and no penalty."""
    setbacks = Setbacks()
    for _ in range(10):
        setbacks.observe(GOOD, failed=False)
    assert setbacks.penalty(GOOD) == 1.0
    assert repr(setbacks) == "<Setbacks of 0 candidates>"


def test_each_failure_weighs_more() -> None:
    """The penalty grows with every failure in a row and stays finite."""
    setbacks = Setbacks()
    penalties: list[float] = []
    for _ in range(50):
        setbacks.observe(BAD, failed=True)
        penalties.append(setbacks.penalty(BAD))
    assert penalties == sorted(penalties)
    assert penalties[0] > 2
    assert penalties[-1] == pytest.approx(1 + 4 * 0.95 / 0.05)


def test_half_failing_counts_five_times() -> None:
    """The formula is 1 + 4 e / (1 - e), with the share the candidate itself carries too."""
    assert Setbacks().penalty(Candidate(name="x", failures=0.5)) == pytest.approx(5.0)


def test_success_heals_completely() -> None:
    """After enough successes a candidate is as good as new."""
    setbacks = Setbacks()
    for _ in range(20):
        setbacks.observe(BAD, failed=True)
    for _ in range(20):
        setbacks.observe(BAD, failed=False)
    assert setbacks.penalty(BAD) == 1.0


def test_a_failed_candidate_is_due_after_a_rest_that_doubles() -> None:
    """Rests are counted in picks, double after each failed trial, and end at the longest."""
    setbacks = Setbacks()
    setbacks.observe(BAD, failed=True)
    rests: list[int] = []
    for _ in range(7):
        rests.append(next(n for n in range(1, 2 * LONGEST_REST) if setbacks.due([GOOD, BAD]) is BAD))
        setbacks.observe(BAD, failed=True)
    assert rests == [FIRST_REST, 32, 64, 128, LONGEST_REST, LONGEST_REST, LONGEST_REST]


def test_failures_of_one_cause_do_not_double_the_rest() -> None:
    """Eight requests lost with one node mean one rest, not the longest one."""
    setbacks = Setbacks()
    for _ in range(8):
        setbacks.observe(BAD, failed=True)
    assert sum(setbacks.due([BAD, GOOD]) is BAD for _ in range(FIRST_REST)) == 1


def test_one_trial_at_a_time() -> None:
    """Whoever is on trial is not due again before its outcome is known."""
    setbacks = Setbacks()
    setbacks.observe(BAD, failed=True)
    assert sum(setbacks.due([BAD]) is BAD for _ in range(LONGEST_REST)) == 1


def test_what_is_remembered_is_bounded() -> None:
    """Names that come and go for ever do not fill the memory; the oldest are forgotten."""
    setbacks = Setbacks(limit=3)
    for name in "abcde":
        setbacks.observe(Candidate(name=name), failed=True)
    assert repr(setbacks) == "<Setbacks of 3 candidates>"
    assert setbacks.penalty(Candidate(name="a")) == 1.0
    assert setbacks.penalty(Candidate(name="e")) > 1.0


def test_a_trial_is_the_pick_of_whoever_is_due() -> None:
    """Balancers return it as it is; the scores are what they would have gone by."""
    setbacks = Setbacks()
    setbacks.observe(BAD, failed=True)
    picks = [setbacks.trial([GOOD, BAD], (1.0, 9.0)) for _ in range(FIRST_REST)]
    assert picks[:-1] == [None] * (FIRST_REST - 1)
    assert picks[-1] == Pick(candidate=BAD, reason="failed lately; tried again", scores=(1.0, 9.0))
