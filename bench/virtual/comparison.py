"""Balancers on one workload held against one of them and against the oracle, seed by seed.  Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from random import Random
from statistics import median

import msgspec

from virtual.bootstrap import Interval, differences, ratios
from virtual.oracle import ORACLE
from virtual.outcome import Outcome

#: Figures that are positive times or rates, compared by their ratio; and shares, compared by their difference.
RATIOS = (
    "first_p50", "first_p95", "first_p99", "whole_mean", "whole_p50", "whole_p95", "whole_p99", "token_rate",
)  # fmt: skip
SHARES = ("good_share", "good_rate", "each_p50", "each_p99", "odd_share", "held_share", "imbalance")
SUMS = ("shed", "failed", "truncated", "resumed", "attempts", "counted", "requests")


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """One balancer on one workload: medians over the seeds, sums, and what it is against others.

    *ratios* (geometric means) and *differences* (means) are to the balancer *against* with the same seeds, with 95 %
    bootstrap intervals.  *regret* is the mean time of a whole answer less the oracle's, in seconds; None without one.
    """

    workload: str
    balancer: str
    against: str
    seeds: int
    medians: dict[str, float]
    sums: dict[str, int]
    ratios: dict[str, Interval]
    differences: dict[str, Interval]
    regret: Interval | None
    fairness: float | None


def hindsight(outcomes: Iterable[Outcome]) -> Outcome:
    """Return the one of several oracles' outcomes with the least mean time of a whole answer."""
    return min(outcomes, key=lambda outcome: outcome.whole_mean)


def compare(outcomes: Sequence[Outcome], against: str) -> list[Comparison]:
    """Return a comparison for each workload and balancer of *outcomes*, in the order of their coming.

    All balancers of a workload have been tried with the same seeds, in the same order; *against* is one of them.
    """
    found: list[Comparison] = []
    for workload in dict.fromkeys(outcome.workload for outcome in outcomes):
        given = [outcome for outcome in outcomes if outcome.workload == workload]
        ones = {
            name: [outcome for outcome in given if outcome.balancer == name]
            for name in dict.fromkeys(outcome.balancer for outcome in given)
        }
        found += [_compared(own, ones[against], ones.get(ORACLE)) for own in ones.values()]
    return found


def _compared(own: Sequence[Outcome], others: Sequence[Outcome], best: Sequence[Outcome] | None) -> Comparison:
    if [one.seed for one in own] != [other.seed for other in others]:
        raise ValueError(f"{own[0].balancer!r} and {others[0].balancer!r} were not tried with the same seeds")
    fair = [one.fairness for one in own if one.fairness is not None]
    return Comparison(
        workload=own[0].workload,
        balancer=own[0].balancer,
        against=others[0].balancer,
        seeds=len(own),
        medians={name: median(_values(own, name)) for name in (*RATIOS, *SHARES)},
        sums={name: sum(int(value) for value in _values(own, name)) for name in SUMS},
        ratios={name: ratios(_values(own, name), _values(others, name), _dice(own, name)) for name in RATIOS},
        differences={name: differences(_values(own, name), _values(others, name), _dice(own, name)) for name in SHARES},
        regret=differences(_values(own, "whole_mean"), _values(best, "whole_mean"), _dice(own, "regret"))
        if best
        else None,
        fairness=median(fair) if fair else None,
    )


def _values(outcomes: Sequence[Outcome], name: str) -> list[float]:
    return [getattr(outcome, name) for outcome in outcomes]


def _dice(own: Sequence[Outcome], name: str) -> Random:
    """Return dice that are the same whenever the same is compared."""
    return Random(f"{own[0].workload}/{own[0].balancer}/{name}")  # noqa: S311 -- resamples, keeps no secrets
