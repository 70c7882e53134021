from __future__ import annotations

from virtual.table import table
from virtual.trial import Outcome


def of(balancer: str, seed: int, p99: float) -> Outcome:
    return Outcome(
        workload="w", balancer=balancer, seed=seed, requests=10, failed=1, attempts=12, resumed=0, first_p50=0.5,
        first_p99=p99, whole_p50=2.0, whole_p99=4.0, odd_share=0.25, held_share=0.5, imbalance=0.1,
    )  # fmt: skip


def test_rows_are_medians_and_ratios_are_within_a_seed() -> None:
    """Each balancer has a row; what it is compared to ran with the same seed; the best is in bold."""
    rows = table([of("a", 1, 2.0), of("a", 2, 4.0), of("b", 1, 1.0), of("b", 2, 3.0)]).splitlines()
    assert "p99 / a's (min to max)" in rows[0]
    assert rows[2] == "| w | `a` | 0.50 | 3.00 | 1.00 (1.00 to 1.00) | 2.0 | 4.0 | 2 | 25.0% | 50% | 0.10 |"
    assert rows[3] == "| w | `b` | 0.50 | **2.00** | 0.62 (0.50 to 0.75) | 2.0 | 4.0 | 2 | 25.0% | 50% | 0.10 |"
    assert rows[0].count("|") == rows[1].count("|") == rows[2].count("|")
