"""Holds a lender open until a signal says otherwise: what ``gateway worker`` does."""

from __future__ import annotations

import signal
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any, cast

import anyio
import anyio.to_thread
import structlog

from swarmgate.announcements import Announce, Lending, Stopping, Warned
from swarmgate.background import background
from swarmgate.config.blueprint import Blueprint
from swarmgate.contracts import Ledger, Lender
from swarmgate.errors import ConfigError
from swarmgate.joining import mind_token, settle
from swarmgate.listening import dialled, here, is_here
from swarmgate.nouns import LLAMA_RPC, Endpoint, Offer
from swarmgate.offering import labelled, offering
from swarmgate.opening import discover, open_part, schemes
from swarmgate.parts import DISCOVERY, LEDGER, TRANSPORT, PartContext
from swarmgate.swarm.membership import Membership
from swarmgate.swarm.peerids import peer_id

_log = structlog.get_logger("swarmgate.lending")


async def run(blueprint: Blueprint, *, announce: Announce) -> None:
    """Lend what *blueprint* says until SIGINT or SIGTERM, then close it in order.

    *announce* hears what is lent, and where.

    Raises:
        ConfigError: the state folder cannot be used.
        PluginError: the lender could not be opened.
        EngineError: it would not start; the message says why.

    """
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as wishes:
        await run_until(wishes, blueprint, announce=announce)


async def run_until(wishes: AsyncIterator[object], blueprint: Blueprint, *, announce: Announce) -> None:
    """Do the same until *wishes* yields, once for an orderly end and twice for a quick one."""
    lending, ending = anyio.Event(), anyio.Event()
    with anyio.CancelScope() as scope:

        async def stop() -> None:
            await anext(wishes)
            announce(Stopping(answers=0, seconds=0))
            if lending.is_set():
                ending.set()
                await anext(wishes)
            scope.cancel()

        async with background() as tasks:
            tasks.start_soon(stop)
            async with _lent(blueprint, announce):
                lending.set()
                await ending.wait()


@asynccontextmanager
async def _lent(blueprint: Blueprint, announce: Announce) -> AsyncGenerator[None]:
    (choice,) = blueprint.opened_by("worker")
    node, identity = await anyio.to_thread.run_sync(partial(settle, blueprint.settings, tenant="worker"))
    context = PartContext(node, identity.folder, identity.membership)
    async with AsyncExitStack() as stack:
        lender = cast("Lender", await open_part(choice, context, stack))
        loan = await stack.enter_async_context(lender.lend())
        endpoint = loan.endpoint
        _log.info("lending.began", part=choice.part.name, address=str(endpoint), **loan.labels)
        if not is_here(endpoint.host):
            announce(Warned(f"{endpoint} has neither encryption nor a password: let only a network you trust reach it"))
        swarm = "" if context.membership is None else peer_id(context.membership.authority_key)
        if context.membership is not None:
            offer = Offer(
                node=node.id,
                service=LLAMA_RPC,
                # one machine may lend in parts, such as each of its GPUs by itself
                name=f"{node.name}:{endpoint.port}",
                addresses=(),
                labels=labelled(**loan.labels),
                sequence=identity.sequence,
            )
            await _offer(
                blueprint, context, context.membership, offer, Endpoint(here(endpoint.host), endpoint.port), stack
            )
        tasks = await stack.enter_async_context(background())
        tasks.start_soon(mind_token, blueprint.settings, identity.ticket, announce)
        announce(Lending(choice.part.name, loan, str(Endpoint(dialled(endpoint.host), endpoint.port)), swarm))
        yield


async def _offer(
    blueprint: Blueprint,
    context: PartContext,
    membership: Membership,
    offer: Offer,
    endpoint: Endpoint,
    stack: AsyncExitStack,
) -> None:
    """Open what the swarm hears of the *offer* by, and let it stand, for as long as *stack* is."""
    opened: dict[str, dict[str, Any]] = {slot.name: {} for slot in (TRANSPORT, LEDGER, DISCOVERY)}
    for slot in (TRANSPORT, LEDGER, DISCOVERY):
        for choice in blueprint.of(slot):
            opened[slot.name][choice.part.name] = await open_part(choice, context, stack)
    ledger: Ledger | None = next(iter(opened[LEDGER.name].values()), None)
    if ledger is None:
        raise ConfigError("in a swarm a worker needs a ledger to offer itself in; add a [ledger] table")
    tasks = await stack.enter_async_context(background())
    for name, discovery in opened[DISCOVERY.name].items():
        tasks.start_soon(discover, name, discovery, ledger)
    await stack.enter_async_context(offering(ledger, schemes(opened[TRANSPORT.name]), membership, offer, endpoint))
