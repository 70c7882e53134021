"""The decision itself; pure."""

from __future__ import annotations

import random
from collections.abc import Sequence

from swarmgate.api import Candidate, Demand, Loads, Pick, Setbacks


class P2c:
    """Picks the less loaded of two drawn at random ("the power of two choices", Mitzenmacher 2001).

    Nearly as even as looking at all, and herd-proof: several gateways whose knowledge is equally old do not
    all rush to the one that looks idle, for they draw different pairs.  The load of both is one measure,
    :class:`~swarmgate.api.Loads`: seconds until this prompt would be read, or requests per slot where
    nothing better is known, as in SMG, the SGLang model gateway (``power_of_two.rs``).  It is multiplied by the penalty
    for recent failures, so that whoever fails fast wins no comparison for being idle.
    """

    def __init__(self, lots: random.Random | None = None) -> None:
        self._lots = lots or random.Random()  # noqa: S311 -- draws lots, keeps no secrets
        self._setbacks = Setbacks()
        self._loads = Loads()

    def __repr__(self) -> str:
        return f"<P2c, {self._loads!r}, {self._setbacks!r}>"

    def pick(self, demand: Demand, candidates: Sequence[Candidate]) -> Pick:
        """Return the less loaded of two, or one that failed and is due for a trial."""
        loads = self._loads.of(demand, candidates)
        scores = tuple(map(self._setbacks.weigh, candidates, loads))
        if trial := self._setbacks.trial(candidates, scores):
            return trial
        if len(candidates) == 1:
            return Pick(candidate=candidates[0], reason="only candidate", scores=scores)
        one, other = self._lots.sample(range(len(candidates)), 2)
        better, worse = (one, other) if scores[one] <= scores[other] else (other, one)
        reason = f"less loaded than {candidates[worse].name[:60]}, of two drawn"
        return Pick(candidate=candidates[better], reason=reason, scores=scores)

    def observe(self, candidate: Candidate, *, seconds: float, failed: bool) -> None:
        """Count *candidate* as busier after failures, and forget them after successes."""
        self._setbacks.observe(candidate, failed=failed)
