from __future__ import annotations

import random
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st
from swarmgate.api import Balancer, Candidate, Demand
from swarmgate.testing import BalancerContract, PluginContract
from swarmgate_balancer_p2c.p2c import P2c

DEMAND = Demand(model="m", prompt_tokens=100)


class TestPlugin(PluginContract):
    plugin = "p2c"


class TestContract(BalancerContract):
    def make(self) -> Balancer:
        return balancer()


def balancer() -> P2c:
    return P2c(random.Random(1))


@given(st.lists(st.integers(0, 9), min_size=2, max_size=6), st.integers())
def test_the_busiest_is_never_picked(busy: list[int], seed: int) -> None:
    """Whichever two are drawn, one that is busier than all others wins no comparison."""
    given = [Candidate(name=str(number), in_flight=flying) for number, flying in enumerate(busy)]
    pick = P2c(random.Random(seed)).pick(DEMAND, given)
    busiest = max(busy)
    assert busy.count(busiest) > 1 or pick.candidate.in_flight < busiest


def test_the_idlest_does_not_get_all() -> None:
    """Of four, the idlest gets what it is drawn for, a half, and the herd does not all go there."""
    given = [Candidate(name=name, in_flight=flying) for flying, name in enumerate("abcd")]
    subject = balancer()
    picks = Counter(subject.pick(DEMAND, given).candidate.name for _ in range(1000))
    assert 440 < picks["a"] < 560
    assert picks["d"] == 0


def test_both_are_measured_alike() -> None:
    """Where one reports its speed, both are compared in seconds: a fast busy place beats a slow idle one."""
    fast = Candidate(name="fast", in_flight=2, slots=8, queued_tokens=100, prefill_rate=1000)
    slow = Candidate(name="slow", prefill_rate=50)
    pick = balancer().pick(DEMAND, [slow, fast])
    assert (pick.candidate.name, pick.reason) == ("fast", "less loaded than slow, of two drawn")
    assert pick.scores[1] < pick.scores[0]


def test_a_seed_repeats_the_lots() -> None:
    """Two balancers with one seed pick alike."""
    given = [Candidate(name=name) for name in "abcd"]
    one, two = balancer(), balancer()
    assert [one.pick(DEMAND, given) for _ in range(50)] == [two.pick(DEMAND, given) for _ in range(50)]


def test_one_is_enough() -> None:
    """A single candidate is picked, without a second to compare."""
    assert balancer().pick(DEMAND, [Candidate(name="a")]).reason == "only candidate"
