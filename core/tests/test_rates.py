from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from swarmgate.rates import Reading, Writing


def test_nothing_seen_is_nothing_known() -> None:
    """Rates are 0, and no seconds pass."""
    assert (Reading().rate, Reading().start, Writing().rate) == (0, 0, 0)


def test_prompts_of_one_length_are_all_reading() -> None:
    """What cannot be told apart counts as reading."""
    reading = Reading()
    for _ in range(3):
        reading.see(100, 2.0)
    assert (reading.rate, reading.start) == (pytest.approx(50), pytest.approx(0))


def test_the_start_is_told_from_the_reading() -> None:
    """With prompts of several lengths, the line through the times gives both."""
    reading = Reading()
    for tokens in (100, 500, 1000, 50, 800):
        reading.see(tokens, 0.3 + tokens / 400)
    assert reading.rate == pytest.approx(400)
    assert reading.start == pytest.approx(0.3)


def test_a_change_of_speed_is_known_within_ten_answers() -> None:
    """A machine that has become half as fast is seen as nearly that."""
    reading, writing = Reading(), Writing()
    for _ in range(50):
        reading.see(100, 1.0)
        writing.see(32, 1.0)
    for _ in range(10):
        reading.see(100, 2.0)
        writing.see(32, 2.0)
    assert 50 < reading.rate < 65
    assert 16 < writing.rate < 21


@given(st.lists(st.tuples(st.integers(1, 10**6), st.floats(0, 1e4)), min_size=1, max_size=30))
def test_any_samples_will_do(samples: list[tuple[int, float]]) -> None:
    """A rate is positive and finite, and the start is within the mean time."""
    reading, writing = Reading(), Writing()
    for tokens, seconds in samples:
        reading.see(tokens, seconds)
        writing.see(tokens, seconds)
    assert 0 < reading.rate < 1e12
    assert 0 < writing.rate < 1e12
    assert 0 <= reading.start <= reading.seconds * 0.91
