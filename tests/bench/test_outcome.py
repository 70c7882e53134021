from __future__ import annotations

import pytest
from virtual.outcome import Fate, Record, Usage, equity, outcome

NAMES = ("w", "b", 1)
MACHINES = [Usage("a", 3, 600, 200, 3.0), Usage("x", 1, 200, 0, 1.0)]


def record(
    *moments: float, arrived: float = 0.0, tokens: int = 9, asker: str = "", counted: bool = True, fate: Fate = "done"
) -> Record:
    """Return one whose first token comes at the first of *moments*, and eight more at each other one."""
    pieces = [(at, 8 if number else 1) for number, at in enumerate(moments)]
    end = moments[-1] if moments else arrived + 1.0
    return Record(asker, counted, 100, tokens, arrived, ended=end, fate=fate, pieces=pieces)


def test_times_are_of_those_who_were_answered_and_count() -> None:
    """First tokens, whole answers, and the time for each token after the first."""
    records = [
        record(1.5, 2.3, arrived=1.0),
        record(4.0, 6.4, arrived=2.0),
        record(9.0, counted=False),
        record(fate="shed"),
    ]
    found = outcome(NAMES, records, MACHINES, "x")
    assert (found.first_p50, found.first_p99) == (0.5, 2.0)
    assert (found.whole_p50, found.whole_p99, found.whole_mean) == pytest.approx((1.3, 4.4, 2.85))
    assert (found.each_p50, found.each_p99) == pytest.approx((0.1, 0.3))
    assert (found.requests, found.counted, found.seconds) == (4, 3, 9.0)


def test_good_is_in_time_for_the_first_token_and_for_each() -> None:
    """Under a second and under a tenth of one, of all who count, answered or not."""
    good, late, slow = record(0.9, 1.6), record(1.1, 1.2), record(0.9, 1.8)
    found = outcome(NAMES, [good, late, slow, record(fate="failed")], MACHINES, "x")
    assert (found.good_share, found.good_rate) == (0.25, pytest.approx(1 / 1.8))


def test_fates_are_counted_one_by_one() -> None:
    """Turned away, failed and broken off are three different things."""
    records = [
        record(0.5),
        record(fate="shed"),
        record(fate="failed"),
        record(fate="failed"),
        record(1, fate="truncated"),
    ]
    found = outcome(NAMES, records, MACHINES, "x")
    assert (found.shed, found.failed, found.truncated) == (1, 2, 1)


def test_work_is_shared_by_seconds_and_prompts_held_by_tokens() -> None:
    """Of 1000 prompt tokens 200 were held; work of 3 s and 1 s varies by half the mean."""
    found = outcome(NAMES, [record(0.5)], MACHINES, "x")
    assert (found.held_share, found.imbalance, found.odd_share) == (0.2, 0.5, 0.25)
    idle = outcome(NAMES, [record(0.5)], [*MACHINES[:1], Usage("x", 9, 0, 0, 0.0)], "x")
    assert idle.imbalance == 0.0  # an odd one that does no work, as one that fails, is no machine out of balance


def test_without_an_answer_there_are_no_figures() -> None:
    """It says so, and whose trial it was."""
    with pytest.raises(ValueError, match="'b' answered no request of 'w' with seed 1; simulate more requests"):
        outcome(NAMES, [record(fate="failed")], MACHINES, "x")


def test_equity_is_of_the_time_in_which_all_want_something() -> None:
    """What the greedy one gets after the modest one has gone is in nobody's way."""
    fair = [record(1.0, asker="a"), record(1.0, asker="b"), record(5.0, asker="b"), record(9.0, asker="b")]
    assert equity(fair) == pytest.approx(1.0)
    starving = [record(9.0, asker="a"), record(1.0, asker="b"), record(5.0, asker="b"), record(8.0, asker="b")]
    assert equity(starving) == pytest.approx(0.5)
    assert equity([record(1.0)]) is None
