"""Nodes with a libp2p child each, as tests need them: on loopback, at any free port."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
from swarmgate.api import GATEWAY, Endpoint, Membership, Node, PartContext, Unreachable
from swarmgate.testing import a_swarm
from swarmgate.testing.streams import an_echo
from swarmgate_transport_libp2p.opening import open_sidecar
from swarmgate_transport_libp2p.options import HostOptions
from swarmgate_transport_libp2p.sidecar import Sidecar
from swarmgate_transport_libp2p.transport import P2pTransport

LOOPBACK = "/ip4/127.0.0.1/tcp/0"
#: Where nobody is: what a node behind a NAT has to tell.
NOWHERE = "/ip4/127.0.0.1/tcp/1"
#: What anything may take that needs a child to start, in seconds: importing libp2p takes long on a busy machine.
PATIENCE = 40.0


def a_context_of(membership: Membership, folder: Path) -> PartContext:
    """Return what a part may lean on, for a node of the swarm."""
    folder.mkdir(exist_ok=True, parents=True)
    return PartContext(Node(membership.id, "tester"), folder, membership)


@asynccontextmanager
async def a_sidecar(membership: Membership, folder: Path, **options: Any) -> AsyncGenerator[Sidecar]:
    """Hold a node's libp2p host open, up and listening on loopback."""
    options.setdefault("listen_maddrs", [LOOPBACK])
    async with open_sidecar(HostOptions(**options), a_context_of(membership, folder)) as sidecar:
        with anyio.fail_after(PATIENCE):
            await sidecar.addresses()
        yield sidecar


@asynccontextmanager
async def sidecars(folder: Path, *members: Membership, **options: Any) -> AsyncGenerator[list[Sidecar]]:
    """Hold the hosts of *members* open, of two fresh owners if there are none; they start side by side."""
    members = members or a_swarm("owner", "owner")
    options.setdefault("listen_maddrs", [LOOPBACK])
    async with AsyncExitStack() as stack:
        opened = [
            await stack.enter_async_context(
                open_sidecar(HostOptions(**options), a_context_of(member, folder / member.id))
            )
            for member in members
        ]
        with anyio.fail_after(PATIENCE):
            for sidecar in opened:
                await sidecar.addresses()
        yield opened


@asynccontextmanager
async def far_apart(
    folder: Path, told: str = NOWHERE, **options: Any
) -> AsyncGenerator[tuple[Sidecar, Sidecar, P2pTransport, str, Endpoint]]:
    """Hold a path open between two that tell others to be at *told*, and know a member that relays.

    Yields both, the transport of the first, by which it reaches what the other exposes, its address, and the endpoint
    here: an echo.
    """
    middle, *ends = a_swarm("owner", "node", "worker")
    async with (
        sidecars(folder, middle, relay=True) as (relay,),
        sidecars(folder, *ends, announce_maddrs=[told], **options) as (one, other),
        an_echo() as echo,
    ):
        await contact(relay, one, other)
        here, there = P2pTransport(one), P2pTransport(other)
        async with there.expose(GATEWAY, echo) as (address,), reached_at_last(here, address) as endpoint:
            yield one, other, here, address, endpoint


@asynccontextmanager
async def reached_at_last(transport: P2pTransport, address: str) -> AsyncGenerator[Endpoint]:
    """Hold a path to *address*, tried again as gateways do: whoever has just met a relay has yet to reserve with it."""
    async with AsyncExitStack() as stack:
        with anyio.fail_after(PATIENCE):
            while True:
                try:
                    endpoint = await stack.enter_async_context(transport.reach(address))
                    break
                except Unreachable:
                    await anyio.sleep(0.1)
        yield endpoint


async def until(fact: Callable[[], bool], *, seconds: float = PATIENCE) -> None:
    """Wait until *fact* is true; what is waited for has no event of its own that a test could see."""
    with anyio.fail_after(seconds):
        while not fact():  # noqa: ASYNC110  # likewise
            await anyio.sleep(0.01)


async def contact(one: Sidecar, *others: Sidecar) -> str:
    """Have *others* connect to *one*; return its multiaddress, with its peer."""
    (address, *_) = await one.addresses()
    for other in others:
        other.know(one.membership.id, [address])
    await until(lambda: all(one.membership.id in other.connected for other in others))
    await until(lambda: all(other.membership.id in one.connected for other in others))
    return f"{address}/p2p/{one.membership.id}"
