"""The decision itself; pure."""

from __future__ import annotations

import random
from collections.abc import Sequence

from swarmgate.api import Candidate, Demand, Loads, Pick, Setbacks


class LeastLoaded:
    """Picks the candidate with the least to do before it could begin, lots among equals.

    The load is what :class:`~swarmgate.api.Loads` measures: the seconds until this prompt would be read, or
    the requests per slot where nothing better is known.  It is multiplied by the penalty for recent
    failures (:class:`~swarmgate.api.Setbacks`), so that one that fails fast, and therefore never has
    anything in flight, does not look idle.  Lots are drawn among equals because a fixed order would
    send every first request to one place.
    """

    def __init__(self, lots: random.Random | None = None) -> None:
        self._lots = lots or random.Random()  # noqa: S311 -- draws lots, keeps no secrets
        self._setbacks = Setbacks()
        self._loads = Loads()

    def __repr__(self) -> str:
        return f"<LeastLoaded, {self._loads!r}, {self._setbacks!r}>"

    def pick(self, demand: Demand, candidates: Sequence[Candidate]) -> Pick:
        """Return the least loaded candidate, or one that failed and is due for a trial."""
        loads = self._loads.of(demand, candidates)
        scores = tuple(map(self._setbacks.weigh, candidates, loads))
        if trial := self._setbacks.trial(candidates, scores):
            return trial
        least = min(scores)
        best = [candidate for candidate, score in zip(candidates, scores, strict=True) if score == least]
        reason = "least loaded" if len(best) == 1 else "lot among the least loaded"
        return Pick(candidate=best[self._lots.randrange(len(best))], reason=reason, scores=scores)

    def observe(self, candidate: Candidate, *, seconds: float, failed: bool) -> None:
        """Count *candidate* as busier after failures, and forget them after successes."""
        self._setbacks.observe(candidate, failed=failed)
