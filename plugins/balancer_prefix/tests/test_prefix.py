from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from swarmgate.api import Balancer, Candidate, Demand
from swarmgate.testing import BalancerContract, PluginContract
from swarmgate_balancer_prefix import Prefix

DEMAND = Demand(model="m", prompt_tokens=1000)


class TestPlugin(PluginContract):
    plugin = "prefix"


class TestContract(BalancerContract):
    def make(self) -> Balancer:
        return balancer()


def balancer() -> Prefix:
    return Prefix(random.Random(1))


def holding(name: str, tokens: int, in_flight: int = 0, slots: int = 4) -> Candidate:
    return Candidate(name=name, cached_prefix=tokens, in_flight=in_flight, slots=slots)


def test_whoever_holds_the_most_is_the_favourite() -> None:
    """Though it is busier, within bounds; among equal holders the less loaded one."""
    pick = balancer().pick(DEMAND, [holding("a", 0), holding("b", 512, 2), holding("c", 384)])
    assert (pick.candidate.name, pick.reason) == ("b", "prefix of 512 tokens")
    assert balancer().pick(DEMAND, [holding("a", 512, 1), holding("b", 512)]).candidate.name == "b"


@pytest.mark.parametrize(("slots", "spare"), [(1, 2), (4, 2), (16, 8)])
def test_the_bound_grows_with_the_slots(slots: int, spare: int) -> None:
    """Two more in flight than the least busy place, or half its slots; beyond that the least loaded is picked."""
    given = [holding("idle", 0, slots=slots), holding("full", 900, spare, slots)]
    assert balancer().pick(DEMAND, given).candidate.name == "full"
    given[1] = holding("full", 900, spare + 1, slots)
    pick = balancer().pick(DEMAND, given)
    assert (pick.candidate.name, pick.reason) == ("idle", "least loaded; who holds the prefix is overloaded")


def test_the_second_best_holder_within_bounds_is_better_than_none() -> None:
    """The bound is on each holder; affinity is not given up because one is overloaded."""
    given = [holding("idle", 0), holding("full", 900, 9), holding("b", 600, 1)]
    assert balancer().pick(DEMAND, given).candidate.name == "b"


def test_too_little_of_a_prompt_is_no_reason() -> None:
    """Below three tenths of the prompt, the load decides."""
    given = [holding("a", 299, 1), holding("b", 0)]
    pick = balancer().pick(DEMAND, given)
    assert (pick.candidate.name, pick.reason) == ("b", "least loaded; nobody holds the prefix")
    assert Prefix(least_share=0.2).pick(DEMAND, given).candidate.name == "a"


def test_a_favourite_that_fails_is_left() -> None:
    """With each failure it counts as busier, until it is out of bounds."""
    subject, given = balancer(), [holding("a", 900), holding("b", 0)]
    names: list[str] = []
    for _ in range(100):
        pick = subject.pick(DEMAND, given).candidate
        names.append(pick.name)
        subject.observe(pick, seconds=0.002, failed=pick.name == "a")
    assert names.count("a") < 10


@given(
    st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 20), st.integers(1, 16)), min_size=1, max_size=6),
    st.integers(0, 1000),
)
def test_nobody_out_of_bounds_is_picked_for_its_prefix(facts: list[tuple[int, int, int]], prompt: int) -> None:
    """Whatever is held: the favourite is within the bound, and no other one there holds more."""
    given = [holding(str(number), *each) for number, each in enumerate(facts)]
    pick = balancer().pick(Demand(model="m", prompt_tokens=prompt), given)
    least = min(candidate.in_flight for candidate in given)
    within = [
        c for c in given if c.in_flight <= least + max(2, c.slots / 2) and c.cached_prefix >= max(0.3 * prompt, 1)
    ]
    if within:
        assert pick.candidate in within
        assert pick.candidate.cached_prefix == max(candidate.cached_prefix for candidate in within)
    else:
        assert pick.scores[given.index(pick.candidate)] == min(pick.scores)
