"""Compares the installed balancers in virtual time.  ``python bench/simulate.py --help``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from time import perf_counter
from typing import Any

import msgspec
import structlog
from swarmgate.api import Part
from swarmgate.parts import BALANCER
from swarmgate.plugins import load
from virtual.table import table
from virtual.trial import Outcome, trial
from virtual.workloads import WORKLOADS

#: The first one is what the others are compared to.
BALANCERS = ("round_robin", "least_loaded", "p2c", "prefix", "cost")
_SILENT = 50  # critical, which nothing here is


def parts(names: list[str]) -> list[Part[Any, Any]]:
    """Return the balancers called *names*.

    Raises:
        PluginError: one is not installed.

    """
    catalogue = load()
    return [catalogue.find(BALANCER, name).part for name in names]


def outcomes(balancers: list[Part[Any, Any]], workloads: list[str], seeds: range, requests: int) -> Iterator[Outcome]:
    """Yield what comes of each balancer on each workload with each seed, in that order of changing."""
    for workload in WORKLOADS:
        if workload.name in workloads:
            for part in balancers:
                yield from (trial(workload, part, seed, requests) for seed in seeds)


def main() -> None:
    """Run and print."""
    known = [workload.name for workload in WORKLOADS]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--balancer", action="append", help=f"default: {', '.join(BALANCERS)}")
    parser.add_argument("--workload", action="append", choices=known, help="default: all")
    parser.add_argument("--seed", type=int, default=1, help="the first seed")
    parser.add_argument("--seeds", type=int, default=10, help="how many seeds, each its own draw of every workload")
    parser.add_argument("--requests", type=int, default=300, help="requests of one trial")
    parser.add_argument("--json", action="store_true", help="print every trial as JSON instead of the table")
    given = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(_SILENT))  # failing is what some are for
    began = perf_counter()
    seeds = range(given.seed, given.seed + given.seeds)
    found = list(outcomes(parts(given.balancer or list(BALANCERS)), given.workload or known, seeds, given.requests))
    if given.json:
        print(msgspec.json.format(msgspec.json.encode(found)).decode())
        return
    print(table(found))
    print(f"{len(found)} trials of {given.requests} requests in {perf_counter() - began:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
