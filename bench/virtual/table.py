"""Outcomes as a table: medians over the seeds, and ratios to the first balancer within each seed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median

from virtual.trial import Outcome

HEAD = (
    "| workload | balancer | first token p50, s | p99, s | p99 / {against}'s (min to max)"
    " | whole answer p50, s | p99, s | failed | odd one's share | prompt held | imbalance |"
)


def table(outcomes: Sequence[Outcome]) -> str:
    """Return *outcomes*, every row, as Markdown; the best p99 of a workload is set in bold."""
    against = outcomes[0].balancer
    lines = [HEAD.format(against=against), "|---|---|" + "---:|" * 9]
    for workload in dict.fromkeys(outcome.workload for outcome in outcomes):
        given = [outcome for outcome in outcomes if outcome.workload == workload]
        ones = {
            name: [outcome for outcome in given if outcome.balancer == name]
            for name in dict.fromkeys(outcome.balancer for outcome in given)
        }
        best = min(_median(own.first_p99 for own in each) for each in ones.values())
        for name, own in ones.items():
            lines.append(_row(workload, name, own, ones[against], best))
    return "\n".join(lines)


def _row(workload: str, name: str, own: Sequence[Outcome], others: Sequence[Outcome], best: float) -> str:
    ratios = [one.first_p99 / other.first_p99 for one, other in zip(own, others, strict=True)]
    p99 = _median(one.first_p99 for one in own)
    cells = [
        workload,
        f"`{name}`",
        f"{_median(one.first_p50 for one in own):.2f}",
        f"**{p99:.2f}**" if p99 == best else f"{p99:.2f}",
        f"{median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})",
        f"{_median(one.whole_p50 for one in own):.1f}",
        f"{_median(one.whole_p99 for one in own):.1f}",
        f"{sum(one.failed for one in own)}",
        f"{_median(one.odd_share for one in own):.1%}",
        f"{_median(one.held_share for one in own):.0%}",
        f"{_median(one.imbalance for one in own):.2f}",
    ]
    return f"| {' | '.join(cells)} |"


def _median(values: Iterable[float]) -> float:
    return median(values)
