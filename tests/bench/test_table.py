from __future__ import annotations

import msgspec
from virtual.bootstrap import Interval
from virtual.comparison import Comparison
from virtual.table import difference, ratio, tables
from virtual.workloads import WORKLOADS, Workload

KNOWN = {workload.name: workload for workload in WORKLOADS}


def of(workload: Workload, balancer: str, p99: float, *, fairness: float | None = None) -> Comparison:
    medians = {
        "first_p50": 0.5, "first_p99": p99, "whole_p50": 2.0, "whole_p95": 3.0, "whole_p99": 4.0, "good_share": 0.9,
        "held_share": 0.5, "imbalance": 0.1, "odd_share": 0.25,
    }  # fmt: skip
    return Comparison(
        workload=workload.name, balancer=balancer, against="a", seeds=2, medians=medians,
        sums={"shed": 1, "failed": 2, "truncated": 3, "resumed": 4},
        ratios={"first_p99": Interval(p99 / 2, p99 / 2 - 0.1, p99 / 2 + 0.1)}, differences={},
        regret=Interval(0.25, -0.1, 0.5), fairness=fairness,
    )  # fmt: skip


def test_a_workload_has_a_table_with_a_row_for_each_balancer() -> None:
    """The best p99 of those that are no oracle is bold; the one compared to has no ratio, the oracle no regret."""
    short = KNOWN["even, short"]
    text = tables([of(short, "a", 2.0), of(short, "b", 1.0), of(short, "oracle", 0.8)], [short])
    title, _, head, line, *rows = text.splitlines()
    assert title.startswith("**even, short**: 3 equal machines")
    assert "p99 / a's (95 % CI)" in head
    assert {row.count("|") for row in (head, line, *rows)} == {14}
    assert rows[0].startswith("| `a` | 0.50 | 2.00 |  | 2.0 | 3.0 | 4.0 | 90% | +0.25 (-0.10 to +0.50) | 50% | 0.10 |")
    assert rows[1].startswith("| `b` | 0.50 | **1.00** | 0.50 (0.40 to 0.60) better |")
    assert rows[2] == (
        "| `oracle` | 0.50 | 0.80 | 0.40 (0.30 to 0.50) better | 2.0 | 3.0 | 4.0 | 90% |  | 50% | 0.10 | 25.0%"
        " | 1, 2, 3, 4 |"
    )


def test_fairness_is_shown_where_there_are_keys() -> None:
    """One column more, in every line."""
    short = KNOWN["even, short"]
    lines = tables([of(short, "a", 2.0, fairness=0.98765)], [short]).splitlines()[2:]
    assert {line.count("|") for line in lines} == {15}
    assert lines[-1].endswith("| 0.988 |")


def test_a_series_is_one_table() -> None:
    """A column for each level, with the p99 of the first token, the best of each bold, and the share in time."""
    levels = [KNOWN["even, closed, 6 clients"], KNOWN["even, closed, 12 clients"]]
    comparisons = [
        of(level, name, p99) for level, p99 in zip(levels, (2.0, 4.0), strict=True) for name in ("a", "oracle")
    ]
    rival = [msgspec.structs.replace(of(levels[0], "b", 1.0)), of(levels[1], "b", 5.0)]
    lines = tables([*comparisons, *rival], levels).splitlines()
    assert lines[0].startswith("**even, closed**: closed loop")
    assert lines[2] == "| first token p99, s; in time | 6 clients | 12 clients |"
    assert lines[4:] == [
        "| `a` | 2.00; 90% | **4.00**; 90% |",
        "| `oracle` | 2.00; 90% | 4.00; 90% |",
        "| `b` | **1.00**; 90% | 5.00; 90% |",
    ]


def test_a_ratio_says_what_is_beyond_doubt() -> None:
    """Better or worse where the interval excludes 1, and nothing where it does not."""
    assert ratio(Interval(0.8, 0.7, 0.9)) == "0.80 (0.70 to 0.90) better"
    assert ratio(Interval(1.2, 1.1, 1.3)) == "1.20 (1.10 to 1.30) worse"
    assert ratio(Interval(1.2, 0.9, 1.3)) == "1.20 (0.90 to 1.30)"
    assert difference(Interval(1.0, -0.5, 2.0)) == "+1.00 (-0.50 to +2.00)"
