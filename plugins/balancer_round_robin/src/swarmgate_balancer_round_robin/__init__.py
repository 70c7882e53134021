"""A balancer that takes turns, the stronger more often and the failing less."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from math import inf
from typing import Any, TypeVar

from swarmgate.api import Balancer, Candidate, Demand, NoOptions, Part, PartContext, Setbacks, hookimpl

T = TypeVar("T")

#: So many models are told apart, and so many names within one, before the oldest are forgotten.
MODELS = 256
NAMES = 1024


class RoundRobin:
    """Smooth weighted round robin, as nginx does it (``ngx_http_upstream_round_robin.c``).

    At each pick every candidate's current value grows by its weight, the highest is picked, and
    the sum of the weights is taken off it: weights 5, 1, 1 give a a b a c a a, never a burst of
    five.  The weight is the label ``weight``, else the number of slots, divided by the penalty for
    recent failures (:class:`~swarmgate.api.Setbacks`), so one that fails fast gets a trickle, not
    a turn.  Each model has turns of its own.
    """

    def __init__(self) -> None:
        self._turns: dict[str, dict[str, float]] = {}
        self._setbacks = Setbacks()

    def __repr__(self) -> str:
        return f"<RoundRobin over {len(self._turns)} models>"

    def pick(self, demand: Demand, candidates: Sequence[Candidate]) -> Candidate:
        """Return the candidate whose turn it is."""
        current = self._turns.pop(demand.model, {})
        _remember(self._turns, demand.model, current, limit=MODELS)
        weights = [weight(candidate) / self._setbacks.penalty(candidate) for candidate in candidates]
        values = [current.pop(candidate.name, 0.0) + own for candidate, own in zip(candidates, weights, strict=True)]
        chosen = max(range(len(candidates)), key=values.__getitem__)
        values[chosen] -= sum(weights)
        for candidate, value in zip(candidates, values, strict=True):
            _remember(current, candidate.name, value, limit=NAMES)
        return candidates[chosen]

    def observe(self, candidate: Candidate, *, seconds: float, failed: bool) -> None:
        """Give *candidate* fewer turns after failures, and its own again after successes."""
        self._setbacks.observe(candidate, failed=failed)


def weight(candidate: Candidate) -> float:
    """Return the label ``weight`` where it is a positive number, else the number of slots."""
    with suppress(ValueError):
        given = float(candidate.labels.get("weight", ""))
        if 0.0 < given < inf:
            return given
    return float(max(candidate.slots, 1))


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
