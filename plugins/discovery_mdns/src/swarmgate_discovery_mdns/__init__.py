"""Members of a swarm find each other on a LAN by multicast DNS."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from msgspec import Meta
from swarmgate.api import Check, Discovery, Options, Part, PartContext, hookimpl


class MdnsOptions(Options, frozen=True):
    """What can be set for multicast DNS."""

    #: Addresses of the interfaces to use, such as ["192.168.1.20"]; all of this machine's if empty.
    interfaces: list[str] = []
    #: How long others take an offer to stand that they hear nothing more of, in seconds; renewed at a third of it.
    lifetime_seconds: Annotated[float, Meta(ge=3, le=600)] = 120.0


@asynccontextmanager
async def open_mdns(options: MdnsOptions, context: PartContext) -> AsyncGenerator[Discovery]:
    """Open the discovery; it holds nothing until it runs."""
    from swarmgate_discovery_mdns.discovery import MdnsDiscovery

    yield MdnsDiscovery(
        context.member("mdns"),
        context.state_dir,
        interfaces=options.interfaces,
        lifetime_seconds=options.lifetime_seconds,
    )


@hookimpl
def swarmgate_discovery() -> list[Part[Any, Discovery]]:
    """Offer ``mdns``."""
    summary = "Members of the swarm on this LAN, by multicast DNS."
    return [Part("mdns", summary, MdnsOptions, open_mdns, members_only=True)]


@hookimpl
def swarmgate_checks() -> list[Check]:
    """Offer what the doctor asks of multicast DNS."""
    from swarmgate_discovery_mdns.checkup import MULTICAST

    return [MULTICAST]
