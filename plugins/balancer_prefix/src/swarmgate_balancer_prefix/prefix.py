"""The decision itself; pure."""

from __future__ import annotations

import random
from collections.abc import Sequence

from swarmgate.api import Candidate, Demand, Loads, Pick, Setbacks


class Prefix:
    """Picks whoever holds the most of the prompt, while that place is not much busier than the least busy one.

    The guard is that of SGLang's cache-aware policy as its issue 32195 has it, which keeps affinity under
    imbalance instead of dropping it for all::

        S = {i : load_i <= min(load) + max(spare_requests, slots_i / 2)}
        favourite = argmax over S of held_i,  if held there is at least least_share of the prompt

    with load_i the requests in flight there and this one, times the penalty for recent failures.  SGLang's own
    bound of 64 requests is made for GPUs; this one grows with the slots.  Where nobody within the
    bound holds enough, the least loaded place is picked (:class:`~swarmgate.api.Loads`, which counts what
    is held, too), and will hold this prompt the next time.
    """

    def __init__(
        self, lots: random.Random | None = None, *, least_share: float = 0.3, spare_requests: float = 2.0
    ) -> None:
        self._lots = lots or random.Random()  # noqa: S311 -- draws lots, keeps no secrets
        self._least_share = least_share
        self._spare_requests = spare_requests
        self._setbacks = Setbacks()
        self._loads = Loads()

    def __repr__(self) -> str:
        return f"<Prefix, {self._loads!r}, {self._setbacks!r}>"

    def pick(self, demand: Demand, candidates: Sequence[Candidate]) -> Pick:
        """Return the favourite, the least loaded candidate, or one that failed and is due for a trial."""
        loads = self._loads.of(demand, candidates)
        scores = tuple(map(self._setbacks.weigh, candidates, loads))
        if trial := self._setbacks.trial(candidates, scores):
            return trial
        busy = [self._setbacks.weigh(candidate, candidate.in_flight + 1) for candidate in candidates]
        bound, enough = min(busy), max(self._least_share * demand.prompt_tokens, 1.0)
        holders = [number for number, candidate in enumerate(candidates) if candidate.cached_prefix >= enough]
        within = [
            number
            for number in holders
            if busy[number] <= bound + max(self._spare_requests, candidates[number].slots / 2)
        ]
        if within:
            favourite = min(within, key=lambda number: (-candidates[number].cached_prefix, scores[number]))
            chosen = candidates[favourite]
            return Pick(candidate=chosen, reason=f"prefix of {chosen.cached_prefix} tokens", scores=scores)
        least = min(scores)
        best = [number for number, score in enumerate(scores) if score == least]
        reason = (
            "least loaded; who holds the prefix is overloaded" if holders else "least loaded; nobody holds the prefix"
        )
        return Pick(candidate=candidates[best[self._lots.randrange(len(best))]], reason=reason, scores=scores)

    def observe(self, candidate: Candidate, *, seconds: float, failed: bool) -> None:
        """Count *candidate* as busier after failures, and forget them after successes."""
        self._setbacks.observe(candidate, failed=failed)
