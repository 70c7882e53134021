"""A balancer that sends prompts to where their beginnings are still held."""

from __future__ import annotations

import random
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from msgspec import Meta
from swarmgate.api import Balancer, Options, Part, PartContext, hookimpl

from swarmgate_balancer_prefix.prefix import Prefix

__all__ = ["Prefix", "PrefixOptions", "open_prefix", "swarmgate_balancer"]


class PrefixOptions(Options, frozen=True):
    """What can be set."""

    #: The share of a prompt that a place must hold to be preferred for it.
    least_share: Annotated[float, Meta(gt=0, le=1)] = 0.3
    #: How many requests more than the least busy place the preferred one may have; half its slots, if that is more.
    spare_requests: Annotated[float, Meta(ge=0)] = 2.0
    #: Seeds the drawing among equals, which makes picks repeatable; unset, every start differs.
    seed: int | None = None


@asynccontextmanager
async def open_prefix(options: PrefixOptions, context: PartContext) -> AsyncGenerator[Balancer]:
    """Open the balancer; there is nothing to close."""
    lots = random.Random(options.seed)  # noqa: S311 -- draws lots, keeps no secrets
    yield Prefix(lots, least_share=options.least_share, spare_requests=options.spare_requests)


@hookimpl
def swarmgate_balancer() -> list[Part[Any, Balancer]]:
    """Offer ``prefix``."""
    summary = "Prefers whoever still holds the beginning of the prompt, unless overloaded."
    return [Part("prefix", summary, PrefixOptions, open_prefix)]
