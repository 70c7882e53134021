"""When those at a machine will be done, if nobody else comes.  Pure."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import NamedTuple


class Work(NamedTuple):
    """What one request has before it at a machine.

    *comes* are the seconds until it has arrived, *reading* those of its prompt that are left if nobody else is read,
    *writing* the tokens of its answer that are left.
    """

    comes: float
    reading: float
    writing: float


def finishes(works: Sequence[Work], *, slots: int, decode: float, slope: float) -> list[float]:
    """Return in how many seconds each of *works*, in the order of their coming, is done.

    The first of them, as many as there are *slots*, are inside; their prompts are read one by one in their order, and
    answers are written side by side, by each ``decode / (1 + slope * (writers - 1))`` tokens a second.
    """
    reading, writing = [work.reading for work in works], [work.writing for work in works]
    done = [inf] * len(works)
    left = list(range(len(works)))
    now = 0.0
    while left:
        inside = left[:slots]
        here = [number for number in inside if works[number].comes <= now]
        reader = next((number for number in here if reading[number] > 0.0), None)
        writers = [number for number in here if reading[number] <= 0.0]
        rate = decode / (1.0 + slope * (len(writers) - 1))
        steps = [works[number].comes - now for number in inside if works[number].comes > now]
        if reader is not None:
            steps.append(reading[reader])
        steps += [writing[number] / rate for number in writers]
        step = min(steps)
        now += step
        if reader is not None:
            reading[reader] = 0.0 if reading[reader] <= step else reading[reader] - step
        for number in writers:
            # whoever set the step is done, whatever the rounding says
            if writing[number] / rate <= step:
                done[number] = now
                left.remove(number)
            else:
                writing[number] -= step * rate
    return done
