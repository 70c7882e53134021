from __future__ import annotations

import pickle
from random import Random

import pytest
from virtual.workloads import CROWDS, RATES, WORKLOADS, Workload


@pytest.mark.parametrize("workload", WORKLOADS, ids=lambda workload: workload.name)
def test_a_workload_is_drawn_from_its_seed(workload: Workload) -> None:
    """The same seed gives the same requests, another one others; it travels to other processes as it is."""
    one, same, other = (workload.draw.clients(Random(seed), workload.machines, 50, workload.load) for seed in (1, 1, 2))
    assert one == same != other
    asked = [asked for client in one if client.counted for asked in client.requests]
    assert len(asked) >= 48  # a crowd of six makes no 50
    assert all(each.prompt and each.tokens > 0 and each.pause >= 0.0 for each in asked)
    assert workload.odd in {machine.name for machine in workload.machines}
    assert pickle.loads(pickle.dumps(workload)) == workload  # noqa: S301 -- what was pickled a moment ago


def test_names_are_told_apart() -> None:
    """No two workloads have one name, nor two machines of one."""
    assert len({workload.name for workload in WORKLOADS}) == len(WORKLOADS)
    for workload in WORKLOADS:
        assert len({machine.name for machine in workload.machines}) == len(workload.machines)


def test_open_loops_go_from_little_to_too_much_and_closed_ones_from_few_to_many() -> None:
    """Rates of 0.3 to 1.2 of what the machines can do, on equal and on different ones, and crowds of several sizes."""
    levels = {
        series: [workload for workload in WORKLOADS if workload.series == series]
        for series in {workload.series for workload in WORKLOADS if workload.series}
    }
    assert set(levels) == {"even, open", "uneven, open", "even, closed", "uneven, closed"}
    assert [workload.load for workload in levels["uneven, open"]] == list(RATES)
    assert (RATES[0], RATES[-1]) == (0.3, 1.2)
    assert [workload.level for workload in levels["even, closed"]] == [f"{size} clients" for size in CROWDS]
