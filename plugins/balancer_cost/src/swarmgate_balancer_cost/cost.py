"""The decision itself; pure."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from statistics import median

from swarmgate.api import Candidate, Demand, Pick, Setbacks

#: Tokens per second for reading a prompt, and for writing one answer, where nobody's speed is known.
NOMINAL_PREFILL, NOMINAL_DECODE = 500.0, 20.0
#: How long an answer is taken to be where nobody has seen one and the client set no limit, in tokens.
NOMINAL_ANSWER = 128
#: No speed is taken for slower, in tokens per second, so that every estimate stays finite.
SLOWEST = 1e-3
#: How often a queue's seconds count: whoever joins one waits as long, and makes those after it wait as much more.
QUEUE_COUNTS = 2.0


class Cost:
    """Picks whoever would be done soonest at the least cost to others, as far as measured speeds tell.

    The cost is an estimate in seconds, after the KV router of NVIDIA Dynamo, but in time instead of
    blocks, so that machines of different speed compare::

        rtt + 2 * queue wait + (prompt - held) / prefill rate + expected answer / decode rate + others' wait

    The queue wait is what the prompts before this one take to be read, and, where all slots are taken, the part of
    an answer that has to end first: (in flight - slots + 1) / slots of one.  It counts twice, which is about the
    marginal cost of a queue: whoever joins waits it out, and those who come later wait the longer.  The
    expected answer is as long as the model's last ones were, at most what the client allows.  The others'
    wait is what this request costs those who wait for a slot, where it takes one that is not free: each of
    them waits longer by as long as the place needs for one more request.  Without these two everybody would queue
    for the fastest machine, selfishly and each rightly so, while the slower ones stand idle and the line grows.

    A speed that nobody has measured yet is taken to be the best of the others while the place has nothing
    to do, so that it is tried, and their median once something is under way there, so that not everything
    goes there before the first answer has told.  The whole is multiplied by the penalty for recent
    failures, and counts as one second at least: who fails fast is never cheap.
    """

    def __init__(self, lots: random.Random | None = None) -> None:
        self._lots = lots or random.Random()  # noqa: S311 -- draws lots, keeps no secrets
        self._setbacks = Setbacks()

    def __repr__(self) -> str:
        return f"<Cost, {self._setbacks!r}>"

    def pick(self, demand: Demand, candidates: Sequence[Candidate]) -> Pick:
        """Return the cheapest candidate, or one that failed and is due for a trial."""
        prefill = _rate([candidate.prefill_rate for candidate in candidates], NOMINAL_PREFILL)
        decode = _rate([candidate.decode_rate for candidate in candidates], NOMINAL_DECODE)
        answer = expected_answer(demand)
        scores = tuple(
            self._setbacks.weigh(
                candidate,
                seconds(
                    candidate,
                    demand,
                    answer=answer,
                    prefill=prefill(candidate.prefill_rate, candidate.in_flight),
                    decode=decode(candidate.decode_rate, candidate.in_flight),
                ),
            )
            for candidate in candidates
        )
        if trial := self._setbacks.trial(candidates, scores):
            return trial
        least = min(scores)
        best = [number for number, score in enumerate(scores) if score == least]
        chosen = candidates[best[self._lots.randrange(len(best))]]
        return Pick(candidate=chosen, reason=f"least cost, {least:.3g} s", scores=scores)

    def observe(self, candidate: Candidate, *, seconds: float, failed: bool) -> None:
        """Count *candidate* as dearer after failures, and forget them after successes."""
        self._setbacks.observe(candidate, failed=failed)


def expected_answer(demand: Demand) -> int:
    """Return how many tokens the answer is likely to have."""
    expected = demand.expected_tokens or NOMINAL_ANSWER
    return expected if demand.max_tokens is None else min(expected, demand.max_tokens)


def seconds(candidate: Candidate, demand: Demand, *, answer: int, prefill: float, decode: float) -> float:
    """Return what it costs in seconds, own and others', to have *candidate* write the whole answer.

    *answer* is in tokens, *prefill* and *decode* in tokens per second.
    """
    slots = max(candidate.slots, 1)
    reading = max(demand.prompt_tokens - candidate.cached_prefix, 1) / prefill
    writing = answer / decode
    over = max(candidate.in_flight - slots + 1, 0)
    others = demand.waiting * max(reading, writing / slots) if over else 0.0
    queue = candidate.queued_tokens / prefill + over / slots * writing
    return candidate.rtt + QUEUE_COUNTS * queue + reading + writing + others


def _rate(known: Sequence[float], nominal: float) -> Callable[[float, int], float]:
    """Return what takes a measured rate, 0 if there is none, and the number in flight, and gives the rate to use."""
    measured = [max(rate, SLOWEST) for rate in known if rate > 0]
    best, middle = (max(measured), median(measured)) if measured else (nominal, nominal)

    def rate(own: float, in_flight: int) -> float:
        if own > 0:
            return max(own, SLOWEST)
        return middle if in_flight else best

    return rate
