"""How a swarm's members come in: by a listener of their own, an offer of this gateway, and credentials for its run."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from swarmgate.assembly import Assembly
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
    backends = assembly.all(BACKEND)
    names = sorted({card.name for own in assembly.loaded_names for card in backends[own].models()})
    offer = Offer(
        node=assembly.node.id,
        service=GATEWAY,
        name=assembly.node.name,
        addresses=(),
        labels=labelled(
            models=named(GATEWAY, names),
            version=release,
            role=way_in.membership.role,
            memory_total_bytes=str(whole_memory()),
            cores=str(os.cpu_count() or 0),
            **{RUN: way_in.run},
        ),
        sequence=assembly.identity.sequence,
    )
    async with offering(
        assembly.one(LEDGER), assembly.transports, way_in.membership, offer, way_in.endpoint
    ) as standing:
        yield standing


async def follow_drain(assembly: Assembly, offer: Offering | None) -> None:
    """Withdraw *offer* if all own models of *assembly* are drained now, and put it up again if not."""
    if offer is None:
        return
    own = assembly.loaded_names
    if all(node.draining for node in assembly.dispatcher.nodes() if node.backend in own):
        await offer.withdraw()
    else:
        await offer.restore()
