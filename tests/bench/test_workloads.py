from __future__ import annotations

from random import Random

import pytest
from virtual.nodes import CHARACTERS, Machine
from virtual.workloads import WORKLOADS, Workload, capacity, poisson, text


@pytest.mark.parametrize("workload", WORKLOADS, ids=lambda workload: workload.name)
def test_a_workload_is_drawn_from_its_seed(workload: Workload) -> None:
    """The same seed gives the same requests, in the order of their coming; another one gives others."""
    one, same, other = (workload.draw(Random(seed), workload.machines, 50) for seed in (1, 1, 2))
    assert one == same != other
    assert sum(arrival.counted for arrival in one) == 50
    assert [arrival.at for arrival in one] == sorted(arrival.at for arrival in one)
    assert all(arrival.prompt and arrival.tokens > 0 for arrival in one)
    assert workload.odd in {machine.name for machine in workload.machines}


def test_names_are_told_apart() -> None:
    """No two workloads have one name."""
    assert len({workload.name for workload in WORKLOADS}) == len(WORKLOADS)


def test_shared_beginnings_are_shared() -> None:
    """Of the prompts behind 12 system prompts no more than 12 beginnings come, and no two are equal."""
    (shared,) = (workload for workload in WORKLOADS if workload.name == "uneven, shared")
    prompts = [arrival.prompt for arrival in shared.draw(Random(1), shared.machines, 100)]
    assert 1 < len({prompt[: 1500 * CHARACTERS] for prompt in prompts}) <= 12
    assert len(set(prompts)) == 100


def test_capacity_is_of_those_who_answer() -> None:
    """The narrower of reading and writing bounds each machine; one that fails adds nothing."""
    machine = Machine("a", prefill=100.0, decode=10.0, slots=1)
    assert capacity([machine], 100, 1) == 1.0
    assert capacity([machine, Machine("x", fails=True)], 1, 100) == pytest.approx(0.1)


def test_bursts_are_denser() -> None:
    """In the first ten of every sixty seconds so many times as many come."""
    times = list(poisson(Random(1), 1.0, 2000, burst=5.0))
    inside = sum(at % 60.0 < 10.0 for at in times)
    assert 0.4 < inside / len(times) < 0.6


def test_texts_have_their_length() -> None:
    """In tokens of four characters, and begin like no other."""
    dice = Random(1)
    assert len(text(dice, 33)) == 33 * CHARACTERS
    assert text(dice, 4)[:8] != text(dice, 4)[:8]
