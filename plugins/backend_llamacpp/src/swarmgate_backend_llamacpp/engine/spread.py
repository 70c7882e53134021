"""Divides units of a model (its layers, the output as one more) over devices.  Pure."""

from __future__ import annotations

from collections.abc import Sequence


def spread(units: int, memories: Sequence[int]) -> list[int]:
    """Return how many of *units* each device of one worker gets, in proportion to its free memory.

    What is left over goes to the largest remainders, of equal ones to the first.
    """
    total = sum(memories)
    if total <= 0:
        return [units, *[0] * (len(memories) - 1)]
    counts = [units * memory // total for memory in memories]
    by_remainder = sorted(range(len(memories)), key=lambda index: -(units * memories[index] % total))
    for index in by_remainder[: units - sum(counts)]:
        counts[index] += 1
    return counts


def fill(sizes: Sequence[int], compute: int, memories: Sequence[int], most: int) -> list[int]:
    """Return how many of this machine's units go on each of its GPUs: the last ones, as far as they fit.

    *sizes* are the units' in bytes, the cache included, and *compute* is what every GPU in use needs besides.
    *most* bounds the units, -1 does not.  The last GPU is filled first.
    """
    counts = [0] * len(memories)
    left = len(sizes) if most < 0 else min(most, len(sizes))
    end = len(sizes)
    for gpu in reversed(range(len(memories))):
        room = memories[gpu] - compute
        while left and sizes[end - 1] <= room:
            room -= sizes[end - 1]
            end, left = end - 1, left - 1
            counts[gpu] += 1
    return counts
