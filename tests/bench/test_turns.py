from __future__ import annotations

import pytest
from sidebyside.turns import (
    ANSWER,
    QUESTION,
    SYSTEM,
    SYSTEMS,
    Line,
    Machine,
    Turn,
    line,
    schedule,
    systems,
    table,
)


def turn(firsts: list[float], failures: list[str], asked: list[int]) -> Turn:
    wholes = [2 * first for first in firsts]
    return Turn(
        firsts=firsts, wholes=wholes, failures=failures, late_p99=0.0, asked=asked, prompt_tokens=100, held_tokens=25
    )


def test_a_schedule_is_drawn_from_its_seed() -> None:
    """Every contender is asked the same; another turn or seed asks other questions behind its system prompts."""
    heads = systems(1, 4)
    assert heads == systems(1, 4) != systems(2, 4)
    one, same, next_turn, other = (
        schedule(seed, number, heads, 50.0, 10.0) for seed, number in ((1, 1), (1, 1), (1, 2), (2, 1))
    )
    assert one == same
    assert one not in (next_turn, other)
    assert not {arrival.question for arrival in one} & {arrival.question for arrival in next_turn}


def test_a_schedule_has_its_rate_and_lengths() -> None:
    """So many come a second, in order, within the turn; few system prompts are shared, the first the most."""
    heads = systems(1, 4)
    arrivals = schedule(1, 1, heads, 50.0, 20.0)
    times = [arrival.at for arrival in arrivals]
    assert times == sorted(times)
    assert 0 < times[0] < times[-1] < 20.0
    assert 850 < len(arrivals) < 1150
    assert {len(arrival.system) for arrival in arrivals} == {4 * SYSTEM}
    assert {len(arrival.question) for arrival in arrivals} == {4 * QUESTION}
    shares = [sum(arrival.system == head for arrival in arrivals) for head in heads]
    assert len(shares) == SYSTEMS
    assert shares[0] == max(shares)
    assert len({arrival.question for arrival in arrivals}) == len(arrivals)


def test_capacity_is_bounded_by_the_narrower_of_reading_and_writing() -> None:
    """All speeds add up."""
    writes = ANSWER * 1.15 / 2
    assert Machine(reads=1e9, writes=writes, slots=2, slope=0.15).capacity((1, 3)) == pytest.approx(4.0)
    assert Machine(reads=0.2 * SYSTEM + QUESTION, writes=1e9, slots=2, slope=0.15).capacity((1,)) == pytest.approx(1.0)


def test_a_line_is_of_all_requests_of_all_turns() -> None:
    """Percentiles are over the turns together, not of their percentiles; failed requests are counted apart."""
    made = line("a", [turn([0.01] * 198, [], [20, 80, 100]), turn([1.0, 3.0], ["why"], [0, 0, 3])])
    assert made == Line(
        contender="a",
        requests=201,
        failed=1,
        first_p50=0.01,
        first_p99=0.01,
        first_p99_turns=(0.01, 3.0),
        whole_p99=0.02,
        slow_share=20 / 203,
        held_share=0.25,
    )


def test_one_that_answers_nothing_is_a_line_too() -> None:
    """Nothing is divided by nothing."""
    made = line("a", [turn([], ["why"], [0, 0, 0])])
    assert (made.requests, made.failed, made.slow_share) == (1, 1, 0.0)
    assert made.first_p99 == float("inf")


def test_every_line_is_in_the_table() -> None:
    """The least of the times is bold, whoever has it."""
    lines = [line("a", [turn([1.0], [], [1, 0, 0])]), line("b", [turn([0.5], ["why"], [0, 1, 3])])]
    head, rule, first, second = table(lines).splitlines()
    assert head.count("|") == rule.count("|") == first.count("|")
    assert first == "| a | 1.00 | 1.00 | 1.00 to 1.00 | 2.00 | 0 of 1 | 100.0% | 25% |"
    assert second == "| b | **0.50** | **0.50** | 0.50 to 0.50 | **1.00** | 1 of 2 | 0.0% | 25% |"
