from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from swarmgate.api import Balancer, Candidate, Demand
from swarmgate.testing import BalancerContract, PluginContract
from swarmgate_balancer_cost.cost import Cost, expected_answer, seconds

DEMAND = Demand(model="m", prompt_tokens=1000, expected_tokens=100)


class TestPlugin(PluginContract):
    plugin = "cost"


class TestContract(BalancerContract):
    def make(self) -> Balancer:
        return balancer()


def balancer() -> Cost:
    return Cost(random.Random(1))


def measured(name: str, speed: float = 1.0, **fields: object) -> Candidate:
    return Candidate(name=name, prefill_rate=500 * speed, decode_rate=20 * speed, slots=4, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("candidate", "expected"),
    [
        (measured("idle"), 2.0 + 5.0),
        (measured("far", rtt=0.5), 0.5 + 2.0 + 5.0),
        (measured("warm", cached_prefix=900), 0.2 + 5.0),
        (measured("queued", queued_tokens=500, in_flight=1), 2 * 1.0 + 2.0 + 5.0),
        (measured("full", in_flight=4), 2.0 + 5.0 + 2 * 5.0 / 4),
        (measured("over", in_flight=7), 2.0 + 5.0 + 2 * 5.0),
    ],
)
def test_the_formula(candidate: Candidate, expected: float) -> None:
    """Round trip, queue, what is not held of the prompt, and the answer, each in seconds."""
    assert seconds(candidate, DEMAND, answer=100, prefill=500, decode=20) == pytest.approx(expected)
    assert balancer().pick(DEMAND, [candidate]).scores[0] == pytest.approx(expected)


def test_what_others_wait_counts_where_no_slot_is_free() -> None:
    """Ten who wait make a queue at the fast place dear, as each waits for one more; a free slot costs them nothing."""
    crowd = Demand(model="m", prompt_tokens=1000, expected_tokens=100, waiting=10)
    fast, slow = measured("fast", 8, in_flight=5), measured("slow", 2)
    assert balancer().pick(DEMAND, [fast, slow]).candidate is fast
    pick = balancer().pick(crowd, [fast, slow])
    assert pick.candidate is slow
    assert pick.scores[0] - balancer().pick(DEMAND, [fast]).scores[0] == pytest.approx(10 * 2.0 / 8)
    assert pick.scores[1] == balancer().pick(DEMAND, [slow]).scores[0]


@pytest.mark.parametrize(
    ("demand", "expected"),
    [
        (Demand(model="m"), 128),
        (Demand(model="m", expected_tokens=50), 50),
        (Demand(model="m", expected_tokens=50, max_tokens=10), 10),
        (Demand(model="m", expected_tokens=50, max_tokens=900), 50),
        (Demand(model="m", max_tokens=0), 0),
    ],
)
def test_answers_are_as_long_as_the_last_unless_limited(demand: Demand, expected: int) -> None:
    """A limit counts only where it is lower."""
    assert expected_answer(demand) == expected


def test_a_fast_busy_place_beats_a_slow_idle_one() -> None:
    """The choice is by time, and the reason says which."""
    pick = balancer().pick(DEMAND, [measured("slow"), measured("fast", 8, in_flight=3, queued_tokens=3000)])
    assert (pick.candidate.name, pick.reason) == ("fast", "least cost, 2.38 s")


def test_the_unknown_is_tried_while_it_is_idle() -> None:
    """It is taken for the best, and once something is under way there, for the median."""
    known = [measured("slow"), measured("middle", 2), measured("fast", 4, in_flight=1)]
    new = Candidate(name="new", slots=4)
    pick = balancer().pick(DEMAND, [*known, new])
    assert pick.scores[2] == pick.scores[3]
    idle, busy = (balancer().pick(DEMAND, [*known, Candidate(name="new", slots=4, in_flight=n)]) for n in (0, 1))
    assert busy.scores[3] == busy.scores[1] > idle.scores[3]


def test_nobody_known_is_nobody_preferred() -> None:
    """Without any measurement the queue decides, by lots among equals."""
    subject, given = balancer(), [Candidate(name=name) for name in "abc"]
    assert {subject.pick(DEMAND, given).candidate.name for _ in range(50)} == set("abc")
    assert subject.pick(DEMAND, [Candidate(name="a", in_flight=1), Candidate(name="b")]).candidate.name == "b"


def test_failing_fast_is_never_cheap() -> None:
    """A place whose answers would take no time at all costs whole seconds after a failure."""
    subject = balancer()
    quick = Candidate(name="quick", prefill_rate=1e6, decode_rate=1e6)
    subject.observe(quick, seconds=0.001, failed=True)
    pick = subject.pick(DEMAND, [quick, measured("slow")])
    assert pick.scores[0] > 1.0


@given(st.floats(1, 1e4), st.floats(1, 1e4), st.integers(0, 10**6), st.integers(0, 20), st.integers(1, 1000))
def test_more_of_anything_is_never_cheaper(
    prefill: float, decode: float, queued: int, in_flight: int, prompt: int
) -> None:
    """A longer queue, more in flight or a longer way cost more or the same; a held prefix costs less or the same."""
    demand = Demand(model="m", prompt_tokens=prompt)

    def cost(**more: object) -> float:
        facts = {"queued_tokens": queued, "in_flight": in_flight, "slots": 4, **more}
        return seconds(Candidate(name="a", **facts), demand, answer=50, prefill=prefill, decode=decode)  # type: ignore[arg-type]

    assert cost(queued_tokens=queued + 100) >= cost()
    assert cost(in_flight=in_flight + 1) >= cost()
    assert cost(rtt=1.0) > cost()
    assert cost(cached_prefix=prompt // 2) <= cost()
