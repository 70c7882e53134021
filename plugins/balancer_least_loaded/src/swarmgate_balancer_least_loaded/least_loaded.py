"""The decision itself; pure."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from swarmgate.api import Candidate, Demand, Setbacks

#: Seconds that a place half full counts as further away (lambda in the formula below).
CROWDING_SECONDS = 0.15
#: The share of busy slots is never taken for higher, so that the crowding term stays finite.
FULLEST = 0.99
#: Tokens per second where tokens are reported and nobody's speed is known.
NOMINAL_RATE = 500.0
#: How much the newest prompt moves the running mean of prompt lengths.
_GAIN = 0.05
_FIRST_GUESS_TOKENS = 256.0


class LeastLoaded:
    """Picks the candidate with the least to do before it could begin, lots among equals.

    Where candidates report tokens or rates, the load is the time until this prompt would be
    read, after the least-load policy of SMG, the SGLang model gateway (``least_load.rs``)::

        (queued tokens + own tokens) / rate + 0.15 s * k / (1 - k)

    with *k* the share of busy slots, in place of the share of used KV cache, which is not
    reported.  One that is silent is taken to hold its requests times the mean prompt, and a
    missing rate to be the others' mean.  Unlike there, the request's own tokens count too, less
    what the place still has cached: without them every idle place would be equal, however slow.

    Where nothing is reported, it is join the shortest queue: (in flight + 1) / slots.

    Either is multiplied by the penalty for recent failures (:class:`~swarmgate.api.Setbacks`), so
    that one that fails fast, and therefore never has anything in flight, does not look idle.
    Lots are drawn among equals because a fixed order would send every first request to one place.
    """

    def __init__(self, lots: random.Random | None = None) -> None:
        self._lots = lots or random.Random()  # noqa: S311 -- draws lots, keeps no secrets
        self._setbacks = Setbacks()
        self._mean_prompt = _FIRST_GUESS_TOKENS

    def __repr__(self) -> str:
        return f"<LeastLoaded, mean prompt {self._mean_prompt:.0f} tokens, {self._setbacks!r}>"

    def pick(self, demand: Demand, candidates: Sequence[Candidate]) -> Candidate:
        """Return the least loaded candidate, or one that failed and is due for a trial."""
        self._mean_prompt += _GAIN * (max(demand.prompt_tokens, 1) - self._mean_prompt)
        trial = self._setbacks.due(candidates)
        if trial is not None:
            return trial
        load = self._measure(demand, candidates)
        loads = [load(candidate) * self._setbacks.penalty(candidate) for candidate in candidates]
        least = min(loads)
        best = [candidate for candidate, own in zip(candidates, loads, strict=True) if own == least]
        return best[self._lots.randrange(len(best))]

    def observe(self, candidate: Candidate, *, seconds: float, failed: bool) -> None:
        """Count *candidate* as busier after failures, and forget them after successes."""
        self._setbacks.observe(candidate, failed=failed)

    def _measure(self, demand: Demand, candidates: Sequence[Candidate]) -> Callable[[Candidate], float]:
        rates = [candidate.prefill_rate for candidate in candidates if candidate.prefill_rate > 0]
        if not rates and not any(candidate.queued_tokens for candidate in candidates):
            return shortest_queue
        mean_rate = sum(rates) / len(rates) if rates else NOMINAL_RATE

        def seconds(candidate: Candidate) -> float:
            return seconds_to_begin(candidate, demand, mean_prompt=self._mean_prompt, mean_rate=mean_rate)

        return seconds


def shortest_queue(candidate: Candidate) -> float:
    """Return how many requests each slot of *candidate* would have with this one."""
    return (candidate.in_flight + 1) / max(candidate.slots, 1)


def seconds_to_begin(candidate: Candidate, demand: Demand, *, mean_prompt: float, mean_rate: float) -> float:
    """Return roughly how many seconds pass until *candidate* has read the prompt of *demand*."""
    silent = candidate.prefill_rate <= 0 and candidate.queued_tokens <= 0
    waiting = candidate.in_flight * mean_prompt if silent else float(candidate.queued_tokens)
    own = max(demand.prompt_tokens - candidate.cached_prefix, 1)
    rate = candidate.prefill_rate if candidate.prefill_rate > 0 else mean_rate
    busy = min(candidate.in_flight / max(candidate.slots, 1), FULLEST)
    return (waiting + own) / rate + CROWDING_SECONDS * busy / (1.0 - busy)
