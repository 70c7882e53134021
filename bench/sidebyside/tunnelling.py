"""What is computed from turns through tunnels, and the table of it.  Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median

import msgspec

from sidebyside.figures import Spread, percentile, spread

#: With whom the others are compared, and what share of its rate the tunnels of the swarm should have.
BASE = "ssl"
AIMS = {"tls": 0.8}
#: What each figure is called, and in which unit and direction it is told.
FIGURES = {
    "up": "up, MB/s",
    "down": "down, MB/s",
    "cpu": "CPU s per GB",
    "small_p50": "64 B p50, µs",
    "small_p99": "64 B p99, µs",
    "large_p50": "16 KiB p50, µs",
    "large_p99": "16 KiB p99, µs",
}


class Turn(msgspec.Struct, frozen=True):
    """One turn of one contender: rates in MB/s, round trips in microseconds, CPU seconds of all processes per GB."""

    up: float
    down: float
    cpu: float
    small_p50: float
    small_p99: float
    large_p50: float
    large_p99: float


def turn(
    *, size: int, seconds: tuple[float, float], cpu_seconds: float, small: Sequence[float], large: Sequence[float]
) -> Turn:
    """Return a turn: *size* bytes went up and came down in *seconds*, round trips are in seconds."""
    up, down = (size / taken / 1e6 for taken in seconds)
    trips = [1e6 * percentile(ones, percent) for ones in (small, large) for percent in (50, 99)]
    return Turn(up, down, cpu_seconds / (2 * size) * 1e9, *trips)


def ratios(ours: Sequence[Turn], theirs: Sequence[Turn]) -> Spread:
    """Return ours/theirs of the rate both ways, round by round."""
    return spread([(one.up + one.down) / (other.up + other.down) for one, other in zip(ours, theirs, strict=True)])


def table(turns: Mapping[str, Sequence[Turn]]) -> str:
    """Return the turns of each contender as a Markdown table: medians, and the rate beside that of `BASE`."""
    lines = [
        "| | " + " | ".join(FIGURES.values()) + f" | rate/{BASE} (min to max) | aim | |",
        "|---" * (len(FIGURES) + 4) + "|",
    ]
    for name, ones in turns.items():
        cells = [name, *(_figure(median(getattr(one, figure) for one in ones)) for figure in FIGURES)]
        aim = AIMS.get(name)
        if name == BASE or BASE not in turns:
            cells += ["", "", ""]
        else:
            compared = ratios(ones, turns[BASE])
            cells.append(f"**{compared.middle:.2f}** ({compared.least:.2f} to {compared.greatest:.2f})")
            cells.append(f"≥ {aim:g}" if aim else "")
            cells.append("" if aim is None else "reached" if compared.middle >= aim else "**missed**")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _figure(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"  # noqa: PLR2004 - three digits are enough
