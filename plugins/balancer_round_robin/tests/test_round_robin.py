from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st
from swarmgate.api import Balancer, Candidate, Demand
from swarmgate.testing import BalancerContract, PluginContract
from swarmgate_balancer_round_robin import MODELS, RoundRobin

DEMAND = Demand(model="m")


class TestPlugin(PluginContract):
    plugin = "round_robin"


class TestContract(BalancerContract):
    def make(self) -> Balancer:
        return RoundRobin()


def candidates(names: str, **labels: str) -> list[Candidate]:
    return [Candidate(name=name, labels=labels) for name in names]


def test_takes_turns() -> None:
    """Everyone is picked once before anyone is picked twice."""
    balancer, abc = RoundRobin(), candidates("abc")
    assert [balancer.pick(DEMAND, abc).candidate.name for _ in range(6)] == list("abcabc")


def test_weights_are_smooth() -> None:
    """Weights 5, 1, 1 give nginx's own example: a a b a c a a."""
    balancer = RoundRobin()
    five = [Candidate(name="a", labels={"weight": "5"}), Candidate(name="b"), Candidate(name="c")]
    assert "".join(balancer.pick(DEMAND, five).candidate.name for _ in range(14)) == "aabacaa" * 2


def test_each_model_has_turns_of_its_own() -> None:
    """Traffic for one model does not shift whose turn it is for another."""
    balancer, ab = RoundRobin(), candidates("ab")
    for _ in range(3):
        assert balancer.pick(DEMAND, ab).candidate.name == "a"
        assert balancer.pick(Demand(model="other"), ab).candidate.name == "a"
        assert balancer.pick(DEMAND, ab).candidate.name == "b"
        assert balancer.pick(Demand(model="other"), ab).candidate.name == "b"


def test_a_pick_shows_the_values_of_the_turn() -> None:
    """The scores are the current values, negated, so that the one picked has the lowest."""
    five = [Candidate(name="a", labels={"weight": "5"}), Candidate(name="b")]
    pick = RoundRobin().pick(DEMAND, five)
    assert (pick.candidate.name, pick.reason, pick.scores) == ("a", "its turn", (-5.0, -1.0))


@given(st.lists(st.integers(1, 9), min_size=1, max_size=6))
def test_every_period_is_shared_exactly_by_weight(weights: list[int]) -> None:
    """In as many picks as the weights sum to, each candidate has exactly its weight of turns."""
    balancer = RoundRobin()
    given = [Candidate(name=str(number), labels={"weight": str(own)}) for number, own in enumerate(weights)]
    for _ in range(2):
        turns = Counter(balancer.pick(DEMAND, given).candidate.name for _ in range(sum(weights)))
        assert turns == {str(number): own for number, own in enumerate(weights)}


def test_a_retry_does_not_favour_the_one_that_was_left_out() -> None:
    """Whoever is missing from one pick has kept its place in the order, and gains nothing."""
    balancer, abc = RoundRobin(), candidates("abc")
    assert balancer.pick(DEMAND, abc).candidate.name == "a"
    assert balancer.pick(DEMAND, abc[1:]).candidate.name == "b"
    picks = Counter(balancer.pick(DEMAND, abc).candidate.name for _ in range(30))
    assert max(picks.values()) - min(picks.values()) <= 2


def test_a_black_hole_gets_a_trickle_and_heals() -> None:
    """One of three that fails in 2 ms gets under 5 % of 1000 picks, is tried again, and returns."""
    balancer, three = RoundRobin(), candidates("abx")
    picks: list[str] = []
    for _ in range(1000):
        pick = balancer.pick(DEMAND, three).candidate
        failed = pick.name == "x"
        balancer.observe(pick, seconds=0.002 if failed else 1.0, failed=failed)
        picks.append(pick.name)
    assert 0 < picks.count("x") < 50
    assert "x" in picks[500:]
    for _ in range(2000):
        balancer.observe(balancer.pick(DEMAND, three).candidate, seconds=1.0, failed=False)
    assert Counter(balancer.pick(DEMAND, three).candidate.name for _ in range(300))["x"] == 100


def test_what_is_remembered_is_bounded() -> None:
    """Models without end do not fill the memory."""
    balancer = RoundRobin()
    for number in range(2 * MODELS):
        balancer.pick(Demand(model=str(number)), candidates("ab"))
    assert repr(balancer) == f"<RoundRobin over {MODELS} models>"
