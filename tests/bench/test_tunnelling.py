from __future__ import annotations

import pytest
from sidebyside.tunnelling import FIGURES, Turn, ratios, table, turn


def a_turn(rate: float) -> Turn:
    return Turn(up=rate, down=rate, cpu=1.0, small_p50=20.0, small_p99=40.0, large_p50=30.0, large_p99=1234.5)


def test_a_turn_counts_both_ways() -> None:
    """Rates are of one direction, CPU time is for each byte that went through, round trips are in microseconds."""
    found = turn(size=10**9, seconds=(2.0, 1.0), cpu_seconds=3.0, small=[2e-5, 3e-5, 4e-5], large=[1e-4])
    assert (found.up, found.down, found.cpu) == (500, 1000, 1.5)
    assert [round(trip) for trip in (found.small_p50, found.small_p99, found.large_p50, found.large_p99)] == [
        30, 40, 100, 100,
    ]  # fmt: skip


def test_rates_are_compared_round_by_round() -> None:
    """The machine's mood changes between rounds, so each round is compared with itself."""
    compared = ratios([a_turn(80), a_turn(20), a_turn(300)], [a_turn(100), a_turn(10), a_turn(300)])
    assert (compared.middle, compared.least, compared.greatest) == (1.0, 0.8, 2.0)
    with pytest.raises(ValueError, match="zip"):
        ratios([a_turn(1)], [])


def test_the_table_says_whether_the_aim_is_reached() -> None:
    """Every contender has a row; only the swarm's tunnels have an aim, and missing it stays in."""
    _, _, ssl, clear, tls = table({"ssl": [a_turn(100)], "clear": [a_turn(90)], "tls": [a_turn(70)]}).splitlines()
    assert ssl == "| ssl | 100 | 100 | 1 | 20 | 40 | 30 | 1234 |  |  |  |"
    assert clear.endswith("| **0.90** (0.90 to 0.90) |  |  |")
    assert tls.endswith("| **0.70** (0.70 to 0.70) | ≥ 0.8 | **missed** |")
    assert table({"ssl": [a_turn(100)], "tls": [a_turn(80)]}).endswith("| ≥ 0.8 | reached |")


def test_a_contender_alone_is_compared_with_nobody() -> None:
    """Where bare TLS was not measured, there is no ratio."""
    head, _, line = table({"tls": [a_turn(70)]}).splitlines()
    assert line.endswith("|  |  |  |")
    assert head.count("|") == line.count("|") == len(FIGURES) + 5
