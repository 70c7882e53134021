"""How busy candidates are, as several balancers measure it.  Pure: no clock, no dice."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from math import inf

from swarmgate.nouns import Candidate, Demand

#: Seconds that a place half full counts as further away (lambda in the formula below).
CROWDING_SECONDS = 0.15
#: The share of busy slots is never taken for higher, so that the crowding term stays finite.
FULLEST = 0.99
#: Tokens per second where tokens are reported and nobody's speed is known.
NOMINAL_RATE = 500.0
#: How much the newest prompt moves the running mean of prompt lengths.
_GAIN = 0.05
_FIRST_GUESS_TOKENS = 256.0


class Loads:
    """Measures candidates by the work before them; one per balancer.

    Where candidates report tokens or rates, the load is the seconds until this prompt would be
    read, after the least-load policy of SMG, the SGLang model gateway (``least_load.rs``)::

        (queued tokens + own tokens) / rate + 0.15 s * k / (1 - k)

    with *k* the share of busy slots, in place of the share of used KV cache, which is not
    reported.  One that is silent is taken to hold its requests times the mean prompt, and a
    missing rate to be the others' mean.  Unlike there, the request's own tokens count too, less
    what the place still has cached: without them every idle place would be equal, however slow.

    Where nothing is reported, it is join the shortest queue: (in flight + 1) / (slots * weight).
    """

    def __init__(self) -> None:
        self._mean_prompt = _FIRST_GUESS_TOKENS

    def __repr__(self) -> str:
        return f"<Loads, mean prompt {self._mean_prompt:.0f} tokens>"

    def of(self, demand: Demand, candidates: Sequence[Candidate]) -> list[float]:
        """Return the load of each of *candidates*, all in one unit; to be called once per pick."""
        self._mean_prompt += _GAIN * (max(demand.prompt_tokens, 1) - self._mean_prompt)
        rates = [candidate.prefill_rate for candidate in candidates if candidate.prefill_rate > 0]
        if not rates and not any(candidate.queued_tokens for candidate in candidates):
            return [shortest_queue(candidate) for candidate in candidates]
        mean_rate = sum(rates) / len(rates) if rates else NOMINAL_RATE
        return [
            seconds_to_begin(candidate, demand, mean_prompt=self._mean_prompt, mean_rate=mean_rate)
            for candidate in candidates
        ]


def weight(candidate: Candidate) -> float:
    """Return the label ``weight`` where it is a positive number, else 1."""
    with suppress(ValueError):
        given = float(candidate.labels.get("weight", ""))
        if 0.0 < given < inf:
            return given
    return 1.0


def shortest_queue(candidate: Candidate) -> float:
    """Return how many requests each slot of *candidate* would have with this one, by its weight."""
    return (candidate.in_flight + 1) / (max(candidate.slots, 1) * weight(candidate))


def seconds_to_begin(candidate: Candidate, demand: Demand, *, mean_prompt: float, mean_rate: float) -> float:
    """Return roughly how many seconds pass until *candidate* has read the prompt of *demand*."""
    silent = candidate.prefill_rate <= 0 and candidate.queued_tokens <= 0
    waiting = candidate.in_flight * mean_prompt if silent else float(candidate.queued_tokens)
    own = max(demand.prompt_tokens - candidate.cached_prefix, 1)
    rate = candidate.prefill_rate if candidate.prefill_rate > 0 else mean_rate
    busy = min(candidate.in_flight / max(candidate.slots, 1), FULLEST)
    return (waiting + own) / rate + CROWDING_SECONDS * busy / (1.0 - busy)
