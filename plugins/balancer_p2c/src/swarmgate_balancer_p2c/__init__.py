"""A balancer that compares two candidates drawn at random."""

from __future__ import annotations

import random
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from swarmgate.api import Balancer, Options, Part, PartContext, hookimpl

from swarmgate_balancer_p2c.p2c import P2c

__all__ = ["P2c", "P2cOptions", "open_p2c", "swarmgate_balancer"]


class P2cOptions(Options, frozen=True):
    """What can be set."""

    #: Seeds the drawing of the two, which makes picks repeatable; unset, every start differs.
    seed: int | None = None


@asynccontextmanager
async def open_p2c(options: P2cOptions, context: PartContext) -> AsyncGenerator[Balancer]:
    """Open the balancer; there is nothing to close."""
    lots = random.Random(options.seed)  # noqa: S311 -- draws lots, keeps no secrets
    yield P2c(lots)


@hookimpl
def swarmgate_balancer() -> list[Part[Any, Balancer]]:
    """Offer ``p2c``."""
    summary = "Draws two at random and takes the less loaded one."
    return [Part("p2c", summary, P2cOptions, open_p2c)]
