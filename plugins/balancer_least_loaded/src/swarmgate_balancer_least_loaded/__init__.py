"""A balancer that prefers whoever would begin soonest."""

from __future__ import annotations

import random
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from swarmgate.api import Balancer, Options, Part, PartContext, hookimpl

from swarmgate_balancer_least_loaded.least_loaded import LeastLoaded

__all__ = ["LeastLoaded", "LeastLoadedOptions", "open_least_loaded", "swarmgate_balancer"]


class LeastLoadedOptions(Options, frozen=True):
    """What can be set."""

    #: Seeds the drawing among equals, which makes picks repeatable; unset, every start differs.
    seed: int | None = None


@asynccontextmanager
async def open_least_loaded(options: LeastLoadedOptions, context: PartContext) -> AsyncGenerator[Balancer]:
    """Open the balancer; there is nothing to close."""
    yield LeastLoaded(random.Random(options.seed))  # noqa: S311 -- draws lots, keeps no secrets


@hookimpl
def swarmgate_balancer() -> list[Part[Any, Balancer]]:
    """Offer ``least_loaded``."""
    summary = "Prefers whoever would begin soonest: the least work waiting for its speed."
    return [Part("least_loaded", summary, LeastLoadedOptions, open_least_loaded)]
