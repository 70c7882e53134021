"""Comparisons as Markdown: a table for each workload, and one for each series of them.  Pure."""

from __future__ import annotations

from collections.abc import Sequence

from virtual.bootstrap import Interval
from virtual.comparison import Comparison
from virtual.oracle import ORACLE
from virtual.workloads import Workload

HEAD = (
    "| balancer | first token p50, s | p99, s | p99 / {against}'s (95 % CI) | whole answer p50, s | p95, s | p99, s"
    " | in time | regret, s (95 % CI) | prompt held | CV of work | odd one's share | shed, failed, cut, resumed |"
)
_FAIR = " fairness |"


def tables(comparisons: Sequence[Comparison], workloads: Sequence[Workload]) -> str:
    """Return a section for each of *workloads*, those of one series in one, with every balancer in a row."""
    parts: list[str] = []
    for workload in workloads:
        if not workload.series:
            rows = [one for one in comparisons if one.workload == workload.name]
            parts.append(f"**{workload.name}**: {workload.what}\n\n{_single(rows)}")
    for series in dict.fromkeys(workload.series for workload in workloads if workload.series):
        levels = [workload for workload in workloads if workload.series == series]
        parts.append(f"**{series}**: {levels[0].what}\n\n{_series(comparisons, levels)}")
    return "\n\n".join(parts)


def _single(rows: Sequence[Comparison]) -> str:
    fair = any(row.fairness is not None for row in rows)
    head = HEAD.format(against=rows[0].against) + (_FAIR if fair else "")
    best = _best(rows, "first_p99")
    return "\n".join([head, "|---|" + "---:|" * (head.count("|") - 2), *(_row(row, best, fair=fair) for row in rows)])


def _row(row: Comparison, best: float, *, fair: bool) -> str:
    medians, p99 = row.medians, row.medians["first_p99"]
    cells = [
        f"`{row.balancer}`",
        f"{medians['first_p50']:.2f}",
        f"**{p99:.2f}**" if p99 == best and row.balancer != ORACLE else f"{p99:.2f}",
        "" if row.balancer == row.against else ratio(row.ratios["first_p99"]),
        f"{medians['whole_p50']:.1f}",
        f"{medians['whole_p95']:.1f}",
        f"{medians['whole_p99']:.1f}",
        f"{medians['good_share']:.0%}",
        "" if row.regret is None or row.balancer == ORACLE else difference(row.regret),
        f"{medians['held_share']:.0%}",
        f"{medians['imbalance']:.2f}",
        f"{medians['odd_share']:.1%}",
        ", ".join(str(row.sums[name]) for name in ("shed", "failed", "truncated", "resumed")),
    ]
    if fair:
        cells.append("" if row.fairness is None else f"{row.fairness:.3f}")
    return f"| {' | '.join(cells)} |"


def _series(comparisons: Sequence[Comparison], levels: Sequence[Workload]) -> str:
    """Return one table: a row for each balancer, a column for each level."""
    found = {(one.workload, one.balancer): one for one in comparisons}
    names = list(dict.fromkeys(one.balancer for one in comparisons if one.workload == levels[0].name))
    bests = [_best([found[level.name, name] for name in names], "first_p99") for level in levels]
    lines = [
        f"| first token p99, s; in time | {' | '.join(level.level for level in levels)} |",
        "|---|" + "---:|" * len(levels),
    ]
    for name in names:
        cells: list[str] = []
        for level, best in zip(levels, bests, strict=True):
            medians = found[level.name, name].medians
            p99 = f"{medians['first_p99']:.2f}"
            bold = medians["first_p99"] == best and name != ORACLE
            cells.append(f"{f'**{p99}**' if bold else p99}; {medians['good_share']:.0%}")
        lines.append(f"| `{name}` | {' | '.join(cells)} |")
    return "\n".join(lines)


def ratio(found: Interval) -> str:
    """Return a ratio of times with its interval, and whether that says better or worse."""
    word = "" if not found.excludes(1.0) else " better" if found.high < 1.0 else " worse"
    return f"{found.middle:.2f} ({found.low:.2f} to {found.high:.2f}){word}"


def difference(found: Interval) -> str:
    """Return a difference with its interval."""
    return f"{found.middle:+.2f} ({found.low:+.2f} to {found.high:+.2f})"


def _best(rows: Sequence[Comparison], name: str) -> float:
    """Return the least of a figure among those that are no oracle."""
    return min((row.medians[name] for row in rows if row.balancer != ORACLE), default=0.0)
