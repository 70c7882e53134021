"""libp2p for a swarm: tunnels, a ledger by gossip, and finding others by DHT."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from swarmgate.api import Check, Discovery, Ledger, Part, PartContext, Transport, hookimpl

from swarmgate_transport_libp2p.options import HOST_ENVIRON, DhtOptions, GossipOptions, P2pOptions


@asynccontextmanager
async def open_p2p(options: P2pOptions, context: PartContext) -> AsyncGenerator[Transport]:
    """Open the transport."""
    from swarmgate_transport_libp2p.opening import open_sidecar
    from swarmgate_transport_libp2p.transport import P2pTransport

    async with open_sidecar(options, context) as sidecar:
        yield P2pTransport(sidecar, timeout_seconds=options.timeout_seconds)


@asynccontextmanager
async def open_gossip(options: GossipOptions, context: PartContext) -> AsyncGenerator[Ledger]:
    """Open the ledger."""
    from swarmgate_transport_libp2p.ledger import GossipLedger
    from swarmgate_transport_libp2p.opening import open_sidecar

    async with (
        open_sidecar(options, context) as sidecar,
        GossipLedger(sidecar, compare_seconds=options.compare_seconds).running() as ledger,
    ):
        yield ledger


@asynccontextmanager
async def open_dht(options: DhtOptions, context: PartContext) -> AsyncGenerator[Discovery]:
    """Open the discovery."""
    from swarmgate_transport_libp2p.discovery import DhtDiscovery
    from swarmgate_transport_libp2p.opening import open_sidecar

    async with open_sidecar(options, context) as sidecar:
        yield DhtDiscovery(sidecar, disable_dht=options.disable_dht)


@hookimpl
def swarmgate_transport() -> list[Part[Any, Transport]]:
    """Offer ``p2p``."""
    summary = "Tunnels over libp2p, also to nodes that only a relay can reach."
    return [Part("p2p", summary, P2pOptions, open_p2p, environ=HOST_ENVIRON, members_only=True)]


@hookimpl
def swarmgate_ledger() -> list[Part[Any, Ledger]]:
    """Offer ``gossip``."""
    summary = "One book in all members' hands, kept alike by gossip."
    return [Part("gossip", summary, GossipOptions, open_gossip, environ=HOST_ENVIRON, members_only=True)]


@hookimpl
def swarmgate_discovery() -> list[Part[Any, Discovery]]:
    """Offer ``dht``."""
    summary = "Finds members anywhere by a distributed hash table."
    environ = {**HOST_ENVIRON, "LOCALAI_P2P_DISABLE_DHT": "disable_dht"}
    return [Part("dht", summary, DhtOptions, open_dht, environ=environ, members_only=True)]


@hookimpl
def swarmgate_checks() -> list[Check]:
    """Offer what the doctor asks of libp2p."""
    from swarmgate_transport_libp2p.checkup import LIBP2P

    return [LIBP2P]
