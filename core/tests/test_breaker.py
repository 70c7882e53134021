from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from swarmgate.breaker import Breaker, Breakers, Tripping

TRIPPING = Tripping(failures=3, open_seconds=2, longest_seconds=10, trials=2, slow_start_seconds=20)


def told(breaker: Breaker, now: float, *outcomes: bool | None) -> Breaker:
    for failed in outcomes:
        breaker.begin()
        breaker.end(now, failed=failed)
    return breaker


def test_it_opens_after_failures_in_a_row() -> None:
    """A success in between, or an outcome that says nothing, does not count with them."""
    breaker = told(Breaker(TRIPPING), 0, True, True, False, True, True, None)
    assert breaker.state(0) == "closed"
    assert told(breaker, 0, True).state(0) == "open"
    assert not breaker.admits(1.9)
    assert breaker.retry_seconds(0.5) == 1.5


def test_with_no_number_of_failures_it_never_opens() -> None:
    """Whoever does not want it says 0."""
    assert told(Breaker(Tripping(failures=0)), 0, *[True] * 9).state(0) == "closed"


def test_half_open_it_lets_one_at_a_time_try() -> None:
    """Two trials that do well close it."""
    breaker = told(Breaker(TRIPPING), 0, True, True, True)
    assert breaker.state(2) == "half_open"
    assert breaker.admits(2)
    breaker.begin()
    assert not breaker.admits(2)
    breaker.end(2.1, failed=False)
    assert breaker.admits(2.2)
    assert told(breaker, 2.3, False).state(2.3) == "closed"


def test_a_failed_trial_opens_it_for_twice_as_long_up_to_the_longest() -> None:
    """What was under way when it opened does not count as a trial."""
    breaker = told(Breaker(TRIPPING), 0, True, True, True)
    told(breaker, 1, True)
    assert breaker.retry_seconds(1) == 1
    now, waits = 0.0, list[float]()
    for _ in range(4):
        now += breaker.retry_seconds(now)
        told(breaker, now, True)
        waits.append(breaker.retry_seconds(now))
    assert waits == [4, 8, 10, 10]


def test_one_that_has_come_back_is_used_by_degrees() -> None:
    """Its share rises from a tenth to all; one that never failed has all of it."""
    assert Breaker(TRIPPING).share(0) == 1
    breaker = told(Breaker(TRIPPING), 0, True, True, True)
    told(breaker, 10, False, False)
    assert [breaker.share(now) for now in (10, 12, 20, 30, 99)] == pytest.approx([0.1, 0.1, 0.5, 1, 1])
    assert told(Breaker(Tripping(slow_start_seconds=0)), 0, False).share(0) == 1


@given(st.lists(st.tuples(st.floats(0, 30), st.sampled_from([True, False, None])), max_size=60))
def test_it_always_opens_and_always_comes_back(steps: list[tuple[float, bool | None]]) -> None:
    """Whatever happened, it admits somebody again within the longest time; its share stays within bounds."""
    breaker, now = Breaker(TRIPPING), 0.0
    for seconds, failed in steps:
        now += seconds
        if breaker.admits(now):
            told(breaker, now, failed)
        assert 0 < breaker.share(now) <= 1
        assert breaker.retry_seconds(now) <= TRIPPING.longest_seconds
        assert breaker.admits(now + TRIPPING.longest_seconds)


def test_each_place_has_a_breaker_of_its_own_until_it_is_gone() -> None:
    """The same one each time; those of places that are gone and idle are forgotten."""
    breakers = Breakers(TRIPPING)
    told(breakers.of("a"), 0, True, True, True)
    breakers.of("b").begin()
    assert breakers.of("a").state(0) == "open"
    assert breakers.of("b").state(0) == "closed"
    breakers.forget(["c"])
    assert breakers.of("a").state(0) == "closed"
    assert breakers.of("b").busy
    assert "2 places" in repr(breakers)
