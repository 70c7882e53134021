from __future__ import annotations

import random
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st
from swarmgate.api import Balancer, Candidate, Demand
from swarmgate.testing import BalancerContract, PluginContract
from swarmgate_balancer_least_loaded.least_loaded import LeastLoaded

DEMAND = Demand(model="m", prompt_tokens=100)


class TestPlugin(PluginContract):
    plugin = "least_loaded"


class TestContract(BalancerContract):
    def make(self) -> Balancer:
        return balancer()


def balancer() -> LeastLoaded:
    return LeastLoaded(random.Random(1))


def shares(subject: LeastLoaded, given: list[Candidate], demand: Demand = DEMAND) -> Counter[str]:
    return Counter(subject.pick(demand, given).candidate.name for _ in range(200))


def test_fewest_in_flight_per_slot() -> None:
    """Where nothing is reported, the shortest queue per slot wins."""
    given = [
        Candidate(name="a", in_flight=1),
        Candidate(name="b", in_flight=3, slots=8),
        Candidate(name="c", in_flight=2),
    ]
    assert shares(balancer(), given) == {"b": 200}


def test_lots_among_equals() -> None:
    """Equal candidates share the picks; a fixed order would send every first request to one."""
    picked = shares(balancer(), [Candidate(name=name) for name in "abcd"])
    assert set(picked) == set("abcd")
    assert min(picked.values()) > 25


def test_a_seed_repeats_the_lots() -> None:
    """Two balancers with one seed pick alike."""
    given = [Candidate(name=name) for name in "abcd"]
    one, two = balancer(), balancer()
    assert [one.pick(DEMAND, given) for _ in range(50)] == [two.pick(DEMAND, given) for _ in range(50)]


def test_tokens_weigh_more_than_requests() -> None:
    """Three short prompts in the queue are less than a single long one."""
    given = [
        Candidate(name="long", in_flight=1, slots=8, queued_tokens=6000, prefill_rate=500),
        Candidate(name="short", in_flight=3, slots=8, queued_tokens=300, prefill_rate=500),
    ]
    assert shares(balancer(), given) == {"short": 200}


def test_speed_decides_among_the_idle() -> None:
    """Of two idle places the faster one begins sooner, and the slow one still helps when it is full."""
    fast, slow = Candidate(name="fast", prefill_rate=800), Candidate(name="slow", prefill_rate=100)
    assert shares(balancer(), [slow, fast]) == {"fast": 200}
    full = Candidate(name="fast", prefill_rate=800, in_flight=1)
    assert shares(balancer(), [slow, full]) == {"slow": 200}


def test_a_cached_prompt_is_work_already_done() -> None:
    """A place that holds most of a long prompt beats an equal one that does not."""
    given = [Candidate(name="cold", prefill_rate=300), Candidate(name="warm", prefill_rate=300, cached_prefix=1900)]
    assert shares(balancer(), given, Demand(model="m", prompt_tokens=2000)) == {"warm": 200}


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 9)), min_size=1, max_size=6))
def test_nobody_busier_is_ever_picked(busy: list[tuple[int, int]]) -> None:
    """Whatever the queues and slots, the score of the one picked is the least of all."""
    given = [Candidate(name=str(n), in_flight=flying, slots=slots) for n, (flying, slots) in enumerate(busy)]
    pick = balancer().pick(DEMAND, given)
    assert pick.scores[given.index(pick.candidate)] == min(pick.scores)


def test_a_pick_says_why() -> None:
    """The one least loaded, a lot among several, or a trial."""
    subject, idle = balancer(), [Candidate(name=name) for name in "ab"]
    assert subject.pick(DEMAND, idle).reason == "lot among the least loaded"
    busy = [Candidate(name="a"), Candidate(name="b", in_flight=1)]
    pick = subject.pick(DEMAND, busy)
    assert (pick.candidate.name, pick.reason, pick.scores) == ("a", "least loaded", (1.0, 2.0))
    subject.observe(busy[0], seconds=0.1, failed=True)
    reasons = [subject.pick(DEMAND, busy).reason for _ in range(20)]
    assert reasons.count("failed lately; tried again") == 1


def test_a_black_hole_does_not_look_idle() -> None:
    """One of three that fails in 2 ms gets under 5 % of 1000 picks, is tried again, and returns."""
    subject, flying = balancer(), Counter[str]()
    picks: list[str] = []
    healthy: list[Candidate] = []
    for _ in range(1000):
        given = [Candidate(name=name, in_flight=flying[name], slots=4) for name in "abx"]
        pick = subject.pick(DEMAND, given).candidate
        picks.append(pick.name)
        if pick.name == "x":
            subject.observe(pick, seconds=0.002, failed=True)
            continue
        healthy.append(pick)
        flying[pick.name] += 1
        if len(healthy) > 4:  # the healthy always have something in flight, the black hole never
            done = healthy.pop(0)
            flying[done.name] -= 1
            subject.observe(done, seconds=1.0, failed=False)
    assert 0 < picks.count("x") < 50
    assert "x" in picks[500:]
    idle = [Candidate(name=name) for name in "abx"]
    for _ in range(1000):
        subject.observe(subject.pick(DEMAND, idle).candidate, seconds=1.0, failed=False)
    assert shares(subject, idle)["x"] > 40


def test_failures_a_candidate_carries_count() -> None:
    """What others saw fail is avoided before it fails here."""
    given = [Candidate(name="bad", failures=0.4), Candidate(name="good", in_flight=1)]
    assert shares(balancer(), given) == {"good": 200}
