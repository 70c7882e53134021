"""Compares the installed balancers in virtual time.  ``python bench/simulate.py --help``."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

import msgspec
import structlog
from swarmgate.api import Part
from swarmgate.errors import SwarmgateError
from swarmgate.parts import BALANCER
from swarmgate.plugins import load
from virtual.comparison import Comparison, compare, hindsight
from virtual.oracle import ORACLE, QUEUES_COUNT, oracle
from virtual.outcome import Outcome
from virtual.table import tables
from virtual.traces import Replay, read_trace, room_for
from virtual.trial import trial
from virtual.workloads import EVEN, UNEVEN, WORKLOADS, Workload

BALANCERS = ("least_loaded", "round_robin", "p2c", "prefix", "cost", ORACLE)
_MACHINES = {"even": EVEN, "uneven": UNEVEN}
_SILENT = 50  # critical, which nothing here is


class Task(NamedTuple):
    """One trial to make."""

    workload: Workload
    balancer: str
    seed: int
    requests: int


class Report(msgspec.Struct, frozen=True):
    """All that came of a run."""

    requests: int
    seeds: list[int]
    comparisons: list[Comparison]
    outcomes: list[Outcome]


def parts(names: Sequence[str]) -> list[Part[Any, Any]]:
    """Return the installed balancers called *names*.

    Raises:
        PluginError: one is not installed.

    """
    catalogue = load()
    return [catalogue.find(BALANCER, name).part for name in names]


def outcome_of(task: Task) -> Outcome:
    """Return what comes of one trial; the oracle's is the best of its kinds, in hindsight."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(_SILENT))  # failing is what some are for
    kinds = [oracle(count) for count in QUEUES_COUNT] if task.balancer == ORACLE else parts([task.balancer])
    return hindsight(trial(task.workload, part, task.seed, task.requests) for part in kinds)


def outcomes(tasks: Sequence[Task], jobs: int) -> Iterator[Outcome]:
    """Yield what comes of each of *tasks*, in their order, so many at once; it is the same however many."""
    if jobs == 1:
        yield from map(outcome_of, tasks)
        return
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        yield from pool.map(outcome_of, tasks)


def against(balancers: Sequence[str]) -> str:
    """Return whom the others are compared to: the gateway's default, or the first if that one does not take part."""
    return next((name for name in BALANCER.defaults if name in balancers), balancers[0])


def replayed(path: Path, speed: float, machines: str) -> Workload:
    """Return the workload of a trace.

    Raises:
        ConfigError: the file cannot be read as one.

    """
    with path.open(encoding="utf-8") as lines:
        recorded = read_trace(path.name, lines)
    room = room_for(_MACHINES[machines], recorded)
    draw = Replay(recorded, speed)
    what = (
        f"{len(recorded)} requests on {machines} machines, {speed:g} times as fast, {draw.load(room):.2f} of capacity"
    )
    return Workload(path.name, what, room, room[0].name, draw)


def main() -> None:
    """Run and print."""
    given = _parser().parse_args()
    began = perf_counter()
    try:
        chosen = [replayed(path, given.speed, given.machines) for path in given.trace]
        balancers = list(dict.fromkeys(given.balancer or BALANCERS))
        parts([name for name in balancers if name != ORACLE])
    except (SwarmgateError, OSError, UnicodeDecodeError) as error:
        sys.exit(f"simulate: {error}")
    if given.workload or not chosen:
        chosen += [one for one in WORKLOADS if one.name in (given.workload or [known.name for known in WORKLOADS])]
    seeds = range(given.seed, given.seed + given.seeds)
    tasks = [Task(one, name, seed, given.requests) for one in chosen for name in balancers for seed in seeds]
    found: list[Outcome] = []
    for outcome in outcomes(tasks, given.jobs):
        if not found or found[-1].workload != outcome.workload:
            print(f"· {outcome.workload}", file=sys.stderr)
        found.append(outcome)
    comparisons = compare(found, against(balancers))
    if given.json:
        report = Report(given.requests, list(seeds), comparisons, found)
        given.json.write_bytes(msgspec.json.format(msgspec.json.encode(report)) + b"\n")
    print(tables(comparisons, chosen))
    print(f"{len(found)} trials of {given.requests} requests in {perf_counter() - began:.0f} s", file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    known = [workload.name for workload in WORKLOADS]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--balancer", action="append", help=f"default: {', '.join(BALANCERS)}")
    parser.add_argument("--workload", action="append", choices=known, help="default: all, or the trace alone")
    parser.add_argument(
        "--trace", type=Path, action="append", default=[], help="a file of Mooncake's or ServeGen's form"
    )
    parser.add_argument("--speed", type=_positive, default=1.0, help="how many times as fast a trace is replayed")
    parser.add_argument("--machines", choices=list(_MACHINES), default="even", help="who answers a trace")
    parser.add_argument("--seed", type=int, default=1, help="the first seed")
    parser.add_argument("--seeds", type=_number, default=10, help="how many seeds, each its own draw of every workload")
    parser.add_argument("--requests", type=_number, default=200, help="requests of one trial, about")
    parser.add_argument("--jobs", type=_number, default=os.cpu_count() or 1, help="trials at once")
    parser.add_argument("--json", type=Path, help="also write every figure of every trial to this file")
    return parser


def _positive(said: str) -> float:
    value = float(said)
    if not 0.0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a number above 0, found {said}")
    return value


def _number(said: str) -> int:
    value = int(said)
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number above 0, found {said}")
    return value


if __name__ == "__main__":
    main()
