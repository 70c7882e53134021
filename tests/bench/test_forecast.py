from __future__ import annotations

import pytest
from virtual.forecast import Work, finishes


def test_alone_is_reading_and_then_writing() -> None:
    """One request takes its way, its prompt, and its answer."""
    assert finishes([Work(0.5, 1.0, 20)], slots=1, decode=10.0, slope=0.5) == [pytest.approx(3.5)]


def test_prompts_wait_for_one_another_and_answers_slow_one_another() -> None:
    """Two read one after the other; while both write, each writes at 1 / (1 + slope) of the speed."""
    first, second = finishes([Work(0.0, 1.0, 20), Work(0.0, 1.0, 10)], slots=2, decode=10.0, slope=0.5)
    # the first writes 10 tokens while the other is read; then both have 10 left, at 10 / 1.5 a second
    assert (first, second) == (pytest.approx(3.5), pytest.approx(3.5))


def test_whoever_finds_no_slot_waits_for_the_first_to_be_done() -> None:
    """With one slot there is one after the other, prompts included."""
    works = [Work(0.0, 1.0, 10), Work(0.0, 1.0, 10), Work(0.0, 0.0, 10)]
    assert finishes(works, slots=1, decode=10.0, slope=0.5) == pytest.approx([2.0, 4.0, 5.0])


def test_nobody_is_nothing() -> None:
    """Without requests there is nothing to tell."""
    assert finishes([], slots=4, decode=10.0, slope=0.5) == []
