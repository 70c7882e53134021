"""A balancer that takes turns, the stronger more often and the failing less."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from swarmgate.api import Balancer, Candidate, Demand, NoOptions, Part, PartContext, Pick, Setbacks, hookimpl, weight

T = TypeVar("T")

#: So many models are told apart, and so many names within one, before the oldest are forgotten.
MODELS = 256
NAMES = 1024


class RoundRobin:
    """Smooth weighted round robin, as nginx does it (``ngx_http_upstream_round_robin.c``).

    At each pick every candidate's current value grows by its weight, the highest is picked, and
    the sum of the weights is taken off it: weights 5, 1, 1 give a a b a c a a, never a burst of
    five.  The weight is the label ``weight``, 1 without one, divided by the penalty for recent
    failures (:class:`~swarmgate.api.Setbacks`), so one that fails fast gets a trickle, not a turn.
    Each model has turns of its own.  The scores of a pick are the values at that moment, negated.
    """

    def __init__(self) -> None:
        self._turns: dict[str, dict[str, float]] = {}
        self._setbacks = Setbacks()

    def __repr__(self) -> str:
        return f"<RoundRobin over {len(self._turns)} models>"

    def pick(self, demand: Demand, candidates: Sequence[Candidate]) -> Pick:
        """Return the candidate whose turn it is."""
        current = self._turns.pop(demand.model, {})
        _remember(self._turns, demand.model, current, limit=MODELS)
        weights = [weight(candidate) / self._setbacks.penalty(candidate) for candidate in candidates]
        values = [current.pop(candidate.name, 0.0) + own for candidate, own in zip(candidates, weights, strict=True)]
        chosen = max(range(len(candidates)), key=values.__getitem__)
        scores = tuple(-value for value in values)
        values[chosen] -= sum(weights)
        for candidate, value in zip(candidates, values, strict=True):
            _remember(current, candidate.name, value, limit=NAMES)
        return Pick(candidate=candidates[chosen], reason="its turn", scores=scores)

    def observe(self, candidate: Candidate, *, seconds: float, failed: bool) -> None:
        """Give *candidate* fewer turns after failures, and its own again after successes."""
        self._setbacks.observe(candidate, failed=failed)


def _remember(book: dict[str, T], key: str, value: T, *, limit: int) -> None:
    book[key] = value
    while len(book) > limit:
        del book[next(iter(book))]


@asynccontextmanager
async def open_round_robin(options: NoOptions, context: PartContext) -> AsyncGenerator[Balancer]:
    """Open the balancer; there is nothing to close."""
    yield RoundRobin()


@hookimpl
def swarmgate_balancer() -> list[Part[Any, Balancer]]:
    """Offer ``round_robin``."""
    return [Part("round_robin", "Takes turns, by weight.", NoOptions, open_round_robin)]
