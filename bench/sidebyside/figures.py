"""What is computed from measurements.  Pure: no clock, no I/O."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from statistics import median
from typing import Literal

import msgspec

Better = Literal["higher", "lower"]


class Row(msgspec.Struct, frozen=True):
    """One line of the report: what was measured, once per round on each side.

    *theirs* is empty where there is nothing to compare with.  *aim* is the ratio ours/theirs to
    reach, or, without *theirs*, the figure itself.
    """

    room: str
    what: str
    unit: str
    ours: tuple[float, ...]
    theirs: tuple[float, ...] = ()
    better: Better = "lower"
    aim: float | None = None
    note: str = ""


class Spread(msgspec.Struct, frozen=True):
    """The middle of several values, and the least and the greatest."""

    middle: float
    least: float
    greatest: float


def spread(values: Sequence[float]) -> Spread:
    """Return the median, the least and the greatest of *values*, of which there is at least one."""
    return Spread(median(values), min(values), max(values))


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the smallest of *values* that at least *percent* of them do not exceed (nearest rank)."""
    if not values or not 0 < percent <= 100:  # noqa: PLR2004 - a percentage
        raise ValueError("a percentile needs values and a percentage above 0, at most 100")
    return sorted(values)[math.ceil(percent / 100 * len(values)) - 1]


def gaps(moments: Sequence[float], begin: float, end: float) -> list[float]:
    """Return the waits between successive *moments* that overlap the time from *begin* to *end*.

    A wait that had begun before, or was not over at the end, counts in full: a reader sat through it.
    """
    return [after - before for before, after in pairwise(moments) if after > begin and before < end]


def ratios(row: Row) -> Spread | None:
    """Return ours/theirs, round by round, as a spread; None where there is nothing to compare with."""
    if not row.theirs:
        return None
    return spread([ours / theirs for ours, theirs in zip(row.ours, row.theirs, strict=True)])


def reached(row: Row) -> bool | None:
    """Tell whether the median reaches the row's aim; None if it has none."""
    if row.aim is None:
        return None
    compared = ratios(row) or spread(row.ours)
    return compared.middle >= row.aim if row.better == "higher" else compared.middle <= row.aim


def both(field: str, ours: Sequence[object], theirs: Sequence[object]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return one *field* of every measurement, on each side."""
    mine, others = (tuple(float(getattr(one, field)) for one in side) for side in (ours, theirs))
    return mine, others
