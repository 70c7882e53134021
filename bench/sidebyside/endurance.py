"""Judges whether a process that was under load for long has kept its memory and its descriptors; pure."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

#: The part of a run in which caches may fill and pools may grow.
WARMING = 0.2
#: Growth allowed in 10 minutes by a straight line through the samples, in MB; and in any time, however short.
GROWTH_MB, NOISE_MB = 5.0, 3.0
_LEAST = 3


class Sample(msgspec.Struct, frozen=True):
    """What a process has at one moment, so many seconds after the load began; resident memory in MB (10^6 bytes)."""

    seconds: float
    resident: float
    descriptors: int


class Verdict(msgspec.Struct, frozen=True):
    """What became of it; *grown* and *allowed* are MB over the time after the warming."""

    grown: float
    allowed: float
    descriptors_before: int
    descriptors_after: int
    wrong: int

    @property
    def faults(self) -> list[str]:
        """Return what is not as it should be."""
        found: list[str] = []
        if self.grown > self.allowed:
            found.append(f"memory has grown by {self.grown:.1f} MB, allowed are {self.allowed:.1f} MB")
        if self.descriptors_after > self.descriptors_before:
            found.append(f"{self.descriptors_after} descriptors are open, {self.descriptors_before} were before")
        if self.wrong:
            found.append(f"{self.wrong} answers were not as they should be")
        return found


def judge(samples: Sequence[Sample], *, before: int, after: int, wrong: int = 0) -> Verdict:
    """Return the verdict on *samples*; *before* and *after* the load so many descriptors were open.

    Raises:
        ValueError: there are too few samples to put a line through.

    """
    last = samples[-1].seconds if samples else 0.0
    kept = [sample for sample in samples if sample.seconds >= WARMING * last]
    if len(kept) < _LEAST:
        raise ValueError(f"expected at least {_LEAST} samples after the first fifth, found {len(kept)}; run for longer")
    span = kept[-1].seconds - kept[0].seconds
    return Verdict(
        grown=_slope(kept) * span,
        allowed=max(GROWTH_MB * span / 600, NOISE_MB),
        descriptors_before=before,
        descriptors_after=after,
        wrong=wrong,
    )


def _slope(samples: Sequence[Sample]) -> float:
    """Return the MB per second of the straight line through *samples*, by least squares."""
    middle = sum(sample.seconds for sample in samples) / len(samples)
    spread = sum((sample.seconds - middle) ** 2 for sample in samples)
    return sum((sample.seconds - middle) * sample.resident for sample in samples) / spread
