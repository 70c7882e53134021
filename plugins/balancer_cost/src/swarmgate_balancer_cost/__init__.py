"""A balancer that estimates when each candidate would be done."""

from __future__ import annotations

import random
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from swarmgate.api import Balancer, Options, Part, PartContext, hookimpl

from swarmgate_balancer_cost.cost import Cost

__all__ = ["Cost", "CostOptions", "open_cost", "swarmgate_balancer"]


class CostOptions(Options, frozen=True):
    """What can be set."""

    #: Seeds the drawing among equals, which makes picks repeatable; unset, every start differs.
    seed: int | None = None


@asynccontextmanager
async def open_cost(options: CostOptions, context: PartContext) -> AsyncGenerator[Balancer]:
    """Open the balancer; there is nothing to close."""
    lots = random.Random(options.seed)  # noqa: S311 -- draws lots, keeps no secrets
    yield Cost(lots)


@hookimpl
def swarmgate_balancer() -> list[Part[Any, Balancer]]:
    """Offer ``cost``."""
    summary = "Prefers whoever would be done soonest, by measured speeds; best where machines differ."
    return [Part("cost", summary, CostOptions, open_cost)]
