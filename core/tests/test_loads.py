from __future__ import annotations

import pytest
from swarmgate.loads import Loads, seconds_to_begin, shortest_queue, weight
from swarmgate.nouns import Candidate, Demand

DEMAND = Demand(model="m", prompt_tokens=100)


@pytest.mark.parametrize(
    ("candidate", "expected"),
    [
        (Candidate(name="a", prefill_rate=100), 1.0),
        (Candidate(name="a", prefill_rate=100, queued_tokens=300), 4.0),
        (Candidate(name="a", prefill_rate=100, queued_tokens=300, in_flight=1, slots=2), 4.15),
        (Candidate(name="a", queued_tokens=300), 8.0),
        (Candidate(name="a", in_flight=2, slots=4), 6.15),
        (Candidate(name="a", prefill_rate=100, in_flight=9, slots=1), 1.0 + 0.15 * 99),
    ],
)
def test_the_formula(candidate: Candidate, expected: float) -> None:
    """Silent places hold the mean prompt per request; a missing rate is the others' mean."""
    seconds = seconds_to_begin(candidate, DEMAND, mean_prompt=100, mean_rate=50)
    assert seconds == pytest.approx(expected)


@pytest.mark.parametrize(
    ("labels", "expected"),
    [({}, 1.0), ({"weight": "0.5"}, 0.5), ({"weight": "5"}, 5.0)]
    + [({"weight": odd}, 1.0) for odd in ("heavy", "", "-1", "0", "inf", "nan")],
)
def test_a_weight_that_cannot_be_used_is_as_good_as_none(labels: dict[str, str], expected: float) -> None:
    """It has to be a positive number."""
    assert weight(Candidate(name="a", slots=4, labels=labels)) == expected


def test_requests_are_counted_where_nothing_is_reported() -> None:
    """Per slot, and by weight."""
    given = [Candidate(name="a", in_flight=1), Candidate(name="b", in_flight=3, slots=8, labels={"weight": "2"})]
    assert Loads().of(DEMAND, given) == [2.0, 0.25]
    assert shortest_queue(given[1]) == 0.25


def test_one_that_reports_puts_all_into_seconds() -> None:
    """Candidates are compared in one unit, whatever each reports."""
    given = [Candidate(name="a", prefill_rate=50), Candidate(name="b", in_flight=1, slots=2)]
    loads = Loads()
    assert loads.of(DEMAND, given)[0] == 2.0
    assert loads.of(DEMAND, given)[1] > 2.0
    assert repr(loads) == "<Loads, mean prompt 241 tokens>"


def test_what_is_held_is_not_read() -> None:
    """Cached tokens of this very prompt shorten its way."""
    given = [Candidate(name="a", prefill_rate=50, cached_prefix=75)]
    assert Loads().of(DEMAND, given) == [0.5]
