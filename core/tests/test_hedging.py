from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from swarmgate.hedging import Budget, unexplained_seconds


@pytest.mark.parametrize(
    ("tokens", "rate", "start", "expected"),
    [
        (10, 1000.0, 0.1, 30.0),
        (6000, 1000.0, 0.0, 120.0),
        (6000, 1000.0, 1.0, 140.0),
        (2000, 5.0, 0.0, 8000.0),  # a CPU that reads a long prompt for minutes
        (30, 0.0, 0.0, 60.0),
    ],
)
def test_silence_is_explained_by_what_there_is_to_read(tokens: int, rate: float, start: float, expected: float) -> None:
    """Twenty times what the place took before, never less than the least, and unknown places are taken for slow."""
    assert unexplained_seconds(30.0, tokens=tokens, rate=rate, start=start) == pytest.approx(expected)


def test_the_first_of_a_few_requests_may_be_hedged() -> None:
    """One at once, for a gateway that was just started; then as many as the share allows."""
    budget = Budget(share=0.05)
    assert budget.enough
    budget.spend()
    for _ in range(19):
        budget.earn()
        assert not budget.enough
    budget.earn()
    assert budget.enough


@given(share=st.floats(0, 1), wishes=st.lists(st.booleans(), max_size=400))
def test_no_more_than_the_share_is_hedged(share: float, wishes: list[bool]) -> None:
    """Whatever is wished for and when, all hedges are the share of the requests and one more at most."""
    budget, hedged = Budget(share=share), 0
    for wish in wishes:
        budget.earn()
        if wish and budget.enough:
            budget.spend()
            hedged += 1
    assert hedged <= share * len(wishes) + 1 + 1e-6
    assert share > 0 or hedged == 0


def test_a_quiet_time_saves_up_for_a_few() -> None:
    """Ten thousand good requests are no reason to ask five hundred twice at once."""
    budget = Budget()
    for _ in range(10_000):
        budget.earn()
    spent = 0
    while budget.enough:
        budget.spend()
        spent += 1
    assert spent == 8
