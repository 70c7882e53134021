"""Keeps a conversation where it began."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Annotated, Any

import structlog
from msgspec import Meta
from swarmgate.api import Balancer, Candidate, Demand, Options, Part, PartContext, Pick, Setbacks, hookimpl


class StickyOptions(Options, frozen=True):
    """What can be set."""

    #: How many requests per slot more than the least busy place a conversation's own one may have.
    spare_requests: Annotated[float, Meta(ge=0)] = 2.0
    #: How many conversations are remembered; the one unheard of for longest is forgotten first.
    sessions: Annotated[int, Meta(ge=1)] = 10_000


class Sticky:
    """Sends each session to where it went last, while that place is there and not much busier.

    Everything else, and every session's first request, goes to the least busy place.
    """

    def __init__(self, options: StickyOptions | None = None) -> None:
        self._options = options or StickyOptions()
        self._homes: dict[tuple[str, str], str] = {}
        self._setbacks = Setbacks()

    def __repr__(self) -> str:
        return f"<Sticky with {len(self._homes)} sessions>"

    def pick(self, demand: Demand, candidates: Sequence[Candidate]) -> Pick:
        """Return the session's own place, or the least busy one, which becomes its own."""
        least = min(candidates, key=self._load)
        key = (demand.model, demand.session)
        home = self._homes.pop(key, "")
        own = next((candidate for candidate in candidates if candidate.name == home), None)
        if own is not None and self._load(own) <= self._load(least) + self._options.spare_requests:
            chosen, reason = own, "the session's own place"
        else:
            chosen = self._setbacks.due(candidates) or least
            reason = "least busy" if chosen is least else "failed lately; tried again"
        if demand.session:
            self._remember(key, chosen.name)
        return Pick(candidate=chosen, reason=reason)

    def observe(self, candidate: Candidate, *, seconds: float, failed: bool) -> None:
        """Make a place that fails look busy, so that its sessions move."""
        self._setbacks.observe(candidate, failed=failed)

    def _remember(self, key: tuple[str, str], home: str) -> None:
        self._homes[key] = home  # put last: the first is the one unheard of for longest
        while len(self._homes) > self._options.sessions:
            del self._homes[next(iter(self._homes))]

    def _load(self, candidate: Candidate) -> float:
        return (candidate.in_flight + 1) / max(candidate.slots, 1) * self._setbacks.penalty(candidate)


@asynccontextmanager
async def open_sticky(options: StickyOptions, context: PartContext) -> AsyncGenerator[Balancer]:
    """Open the balancer; there is nothing to close."""
    structlog.get_logger("acme_sticky").info("sticky.opened", part="sticky", node=context.node.name)
    yield Sticky(options)


@hookimpl
def swarmgate_balancer() -> list[Part[Any, Balancer]]:
    """Offer ``sticky``."""
    return [Part("sticky", "Keeps a conversation where it began.", StickyOptions, open_sticky)]
