from __future__ import annotations

import pytest
from virtual.equity import fairness, jain, max_min


def test_jain_is_one_for_equals_and_one_nth_for_one_alone() -> None:
    """The index of the paper: two of four who get the same and two nothing make a half."""
    assert jain([3.0, 3.0, 3.0]) == 1.0
    assert jain([1.0, 0.0, 0.0, 0.0]) == 0.25
    assert jain([1.0, 1.0, 0.0, 0.0]) == 0.5
    assert jain([]) == jain([0.0]) == 1.0


def test_max_min_gives_what_is_left_to_those_who_ask_for_more() -> None:
    """Of 10, who asks for 1 gets it, and two who ask for 5 and 100 get the same of the rest."""
    assert max_min({"a": 100.0, "b": 1.0, "c": 5.0}, 10.0) == {"b": 1.0, "c": 4.5, "a": 4.5}
    assert max_min({"a": 2.0, "b": 3.0}, 10.0) == {"a": 2.0, "b": 3.0}


def test_a_modest_one_who_gets_all_is_fair() -> None:
    """Getting less than others is no unfairness for whoever asked for less, and is for one who asked for as much."""
    assert fairness({"modest": 10.0, "greedy": 90.0}, {"modest": 10.0, "greedy": 500.0}) == 1.0
    starved = fairness({"modest": 0.0, "greedy": 100.0}, {"modest": 10.0, "greedy": 500.0})
    assert starved == pytest.approx(0.5)
