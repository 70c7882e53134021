from __future__ import annotations

import pytest
from simulate import parts
from virtual.trial import Outcome, trial
from virtual.workloads import WORKLOADS

ALL = ["round_robin", "least_loaded", "p2c", "prefix", "cost"]
KNOWN = {workload.name: workload for workload in WORKLOADS}


def outcome(workload: str, balancer: str, seed: int = 1, requests: int = 120) -> Outcome:
    (part,) = parts([balancer])
    return trial(KNOWN[workload], part, seed, requests)


@pytest.mark.parametrize("balancer", ALL)
def test_a_seed_repeats_a_trial(balancer: str) -> None:
    """Two runs with one seed come out equal to the last digit, one with another seed does not."""
    one, same, other = (outcome("death", balancer, seed, 60) for seed in (1, 1, 2))
    assert one == same
    assert one.first_p50 != other.first_p50


def test_on_uneven_machines_cost_beats_taking_turns() -> None:
    """With speeds of 1:2:8 the 99th percentile of the time to the first token is less than half."""
    turns, cost = (outcome("uneven", balancer) for balancer in ("round_robin", "cost"))
    assert cost.first_p99 < turns.first_p99 / 2
    assert cost.whole_p99 < turns.whole_p99


@pytest.mark.parametrize("balancer", ALL)
def test_whoever_fails_fast_gets_little(balancer: str) -> None:
    """Under a tenth of the attempts even of the first two hundred requests, and no request fails for it."""
    given = outcome("black hole", balancer, requests=200)
    assert given.odd_share < 0.1
    assert given.failed == 0
    assert given.attempts > given.requests


def test_a_death_fails_no_request() -> None:
    """Begun answers go on elsewhere."""
    given = outcome("death", "cost", requests=150)
    assert given.failed == 0
    assert given.resumed > 0


def test_shared_beginnings_are_found_again() -> None:
    """Prefix affinity has more of the prompts held than taking turns has."""
    turns, prefix = (outcome("chats", balancer) for balancer in ("round_robin", "prefix"))
    assert prefix.held_share > turns.held_share
