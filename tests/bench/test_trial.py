from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from random import Random

import pytest
from simulate import parts
from swarmgate.api import Balancer, Candidate, Demand, NoOptions, Part, PartContext, Pick
from virtual.draws import Crowd, Lengths
from virtual.nodes import Machine
from virtual.oracle import oracle
from virtual.outcome import Outcome
from virtual.trial import trial
from virtual.workloads import WORKLOADS, Workload

ALL = ["round_robin", "least_loaded", "p2c", "prefix", "cost"]
KNOWN = {workload.name: workload for workload in WORKLOADS}


def outcome(workload: str | Workload, balancer: str, seed: int = 1, requests: int = 120) -> Outcome:
    part = oracle(1.0) if balancer == "oracle" else parts([balancer])[0]
    return trial(KNOWN[workload] if isinstance(workload, str) else workload, part, seed, requests)


@pytest.mark.parametrize("balancer", [*ALL, "oracle"])
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
    assert cost.good_share > turns.good_share


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
    assert (given.failed, given.truncated) == (0, 0)
    assert given.resumed > 0


def test_a_death_cuts_answers_that_nobody_can_go_on_with() -> None:
    """Where nobody has the same weights and the dead one does not come back, they are truncated, and only they."""
    given = outcome("death, other weights", "round_robin", requests=150)
    assert given.truncated > 0
    assert (given.failed, given.shed) == (0, 0)


def test_the_impatient_are_turned_away_and_those_who_fail_are_told_apart() -> None:
    """Whoever waits too long for a slot is shed; who is sent to machines that all fail has failed."""
    given = outcome("impatient", "least_loaded")
    assert given.shed > 0
    assert given.failed == 0
    hopeless = replace(KNOWN["even, short"], machines=(Machine("a", fails=True), Machine("c", fails=True)))
    with pytest.raises(ValueError, match="answered no request"):
        outcome(replace(hopeless, draw=Crowd(2, Lengths(10, 1), 1.0)), "round_robin", requests=16)


def test_shared_beginnings_are_found_again() -> None:
    """Prefix affinity has more of the prompts held than taking turns has."""
    turns, prefix = (outcome("chats", balancer) for balancer in ("round_robin", "prefix"))
    assert prefix.held_share > turns.held_share


def test_a_client_of_a_closed_loop_waits_for_the_answer() -> None:
    """One client alone has never two requests under way: they take the sum of their times and of the pauses."""
    alone = replace(KNOWN["even, closed, 6 clients"], draw=Crowd(1, Lengths(100, 20), think=2.0))
    given = outcome(alone, "least_loaded", requests=20)
    (client,) = alone.draw.clients(Random(1), alone.machines, 20, alone.load)
    pauses = sum(asked.pause for asked in client.requests)
    assert given.seconds == pytest.approx(20 * given.whole_mean + pauses)
    assert given.first_p99 == pytest.approx(0.002 + 100 / 500 + 1 / 20)


def test_a_crowd_asks_for_no_more_than_it_gets() -> None:
    """Eight times as many clients make a longer wait, and no endless one: the loop is closed."""
    few, many = (outcome(f"even, closed, {size} clients", "least_loaded") for size in (6, 48))
    assert few.whole_p50 < many.whole_p50
    assert many.first_p99 < 48 * 20
    assert many.fairness is not None
    assert many.fairness > 0.9


def test_a_machine_that_joins_is_used() -> None:
    """It gets nothing before, and its share after."""
    joins = outcome("join", "least_loaded", requests=200)
    never = outcome(
        replace(KNOWN["join"], machines=tuple(replace(m, joins=0.0) for m in KNOWN["join"].machines)),
        "least_loaded",
        requests=200,
    )
    assert 0.0 < joins.odd_share < never.odd_share


def test_the_gateway_is_not_told_how_long_answers_will_be() -> None:
    """No balancer sees a request's length in what is demanded, and nothing is expected before one has been seen."""
    seen: list[Demand] = []

    class Spy:
        def pick(self, demand: Demand, candidates: Sequence[Candidate]) -> Pick:
            seen.append(demand)
            return Pick(candidate=candidates[0])

        def observe(self, candidate: Candidate, *, seconds: float, failed: bool) -> None:
            pass

    @asynccontextmanager
    async def opened(options: NoOptions, context: PartContext) -> AsyncGenerator[Balancer]:
        yield Spy()

    trial(KNOWN["even, short"], Part("spy", "Looks on.", NoOptions, opened), 1, 20)
    assert len(seen) == 20
    assert {demand.max_tokens for demand in seen} == {None}
    assert seen[0].expected_tokens == 0


def test_the_oracle_knows_how_long_answers_will_be() -> None:
    """Of two machines one writes twice as fast and is a second away: short answers are had sooner from the other."""
    machines = Machine("near"), replace(Machine("").times(2, "far"), prefill=500.0, rtt=1.0)
    shares: list[float] = []
    for tokens in (2, 200):
        draw = Crowd(1, Lengths(100, tokens), think=2.0)
        only = replace(KNOWN["even, short"], machines=machines, odd="far", draw=draw)
        shares.append(outcome(only, "oracle", requests=8).odd_share)
    assert shares == [0.0, 1.0]
