"""How a swarm's members come in: by a listener of their own, an offer of this gateway, and credentials for its run."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import AsyncGenerator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass

import anyio

from swarmgate.assembly import Assembly
from swarmgate.background import background
from swarmgate.config.choices import Blueprint
from swarmgate.memory import whole_memory
from swarmgate.nouns import GATEWAY, Endpoint, Offer
from swarmgate.offering import Offering, labelled, named, offering
from swarmgate.parts import BACKEND, LEDGER
from swarmgate.swarm.credential import RUN, Examiner
from swarmgate.swarm.membership import Membership

#: Where connections through the swarm arrive: on this machine alone, at any port.
LISTEN = "127.0.0.1:0"
_RUN_BYTES = 16
#: How often it is looked which models the offer has to name, in seconds.
_LOOK_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Entrance:
    """Where members come in, and what examines them; *run* is this run of the gateway, as its offer tells it."""

    membership: Membership
    endpoint: Endpoint
    run: str
    examiner: Examiner


def offers_itself(blueprint: Blueprint) -> bool:
    """Return whether the gateway of *blueprint* is to be offered to its swarm: it is federated, and has own models."""
    settings = blueprint.settings
    return settings.p2p and settings.federated and any(choice.part.loads for choice in blueprint.of(BACKEND))


def entrance(assembly: Assembly, listener: socket.socket) -> Entrance | None:
    """Return the way in by *listener*, None if the node of *assembly* is in no swarm."""
    membership = assembly.identity.membership
    if membership is None:
        return None
    host, port = listener.getsockname()[:2]
    run = secrets.token_hex(_RUN_BYTES)
    return Entrance(membership, Endpoint(str(host), int(port)), run, Examiner(membership, run))


@asynccontextmanager
async def offered(assembly: Assembly, way_in: Entrance | None, release: str) -> AsyncGenerator[Offering | None]:
    """Offer the gateway of *assembly* while held; None is yielded where nothing is offered."""
    if way_in is None:
        yield None
        return
    labels = labelled(
        version=release,
        role=way_in.membership.role,
        memory_total_bytes=str(await whole_memory()),
        cores=str(os.cpu_count() or 0),
        **{RUN: way_in.run},
    )
    offer = Offer(
        node=assembly.node.id,
        service=GATEWAY,
        name=assembly.node.name,
        addresses=(),
        labels=labels | labelled(models=named(GATEWAY, served(assembly, ()))),
        sequence=assembly.identity.sequence,
    )
    where = assembly.one(LEDGER), assembly.transports, way_in.membership, offer, way_in.endpoint
    async with offering(*where) as standing, background() as tasks:
        if standing is not None:
            tasks.start_soon(_follow_models, assembly, standing, labels)
        yield standing


def served(assembly: Assembly, before: Collection[str]) -> list[str]:
    """Return which of its own models the gateway of *assembly* offers, sorted, if *before* is which it has offered.

    One is offered when it is ready, and from then on until it has failed for good or is there no longer: an engine that
    is started again is no news to everybody.
    """
    backends = assembly.all(BACKEND)
    healths = {load.name: load.health() for load in assembly.loading.loads}
    return sorted(
        {
            card.name
            for name, health in healths.items()
            if name in backends  # else it is being unloaded
            for card in backends[name].models()
            if health.ready or (card.name in before and not health.permanent)
        }
    )


async def _follow_models(assembly: Assembly, standing: Offering, labels: dict[str, str]) -> None:
    """Have the offer say what is served, for ever."""
    names: list[str] = []
    while True:
        names, before = served(assembly, names), names
        if names != before:
            standing.relabel(labels | labelled(models=named(GATEWAY, names)))
        await anyio.sleep(_LOOK_SECONDS)


async def follow_drain(assembly: Assembly, offer: Offering | None) -> None:
    """Withdraw *offer* if all own models of *assembly* are drained now, and put it up again if not."""
    if offer is None:
        return
    own = assembly.loaded_names
    if all(node.draining for node in assembly.dispatcher.nodes() if node.backend in own):
        await offer.withdraw()
    else:
        await offer.restore()
