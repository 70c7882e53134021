"""Looks for other nodes as the gateway would, where none runs: finds them, and tries to reach each."""

from __future__ import annotations

from contextlib import AsyncExitStack
from functools import partial
from typing import cast

import anyio
from msgspec.structs import replace

from swarmgate.background import background
from swarmgate.config.blueprint import Blueprint
from swarmgate.contracts import Discovery, Ledger, Probe, Transport
from swarmgate.crew import Crew, muster
from swarmgate.errors import SwarmgateError
from swarmgate.findings import Findings, Signed
from swarmgate.knocking import Knocking
from swarmgate.nouns import GATEWAY, LLAMA_RPC, Service
from swarmgate.opening import discover, open_part, schemes, services
from swarmgate.parts import DISCOVERY, LEDGER, PROBE, TRANSPORT, PartContext
from swarmgate.reaching import by_scheme
from swarmgate.roster import Member

#: How long others get to be found and to answer, in seconds: a libp2p child needs half of it to start.
PATIENCE_SECONDS = 8.0


class Seen:
    """What the lookout has seen: *workers* and *gateways*, and *failed* parts with the reason, by slot and name."""

    def __init__(self) -> None:
        self.workers: tuple[Member, ...] = ()
        self.gateways: tuple[Member, ...] = ()
        self.failed: dict[str, str] = {}

    def __repr__(self) -> str:
        return f"<Seen {len(self.workers)} workers, {len(self.gateways)} gateways, {len(self.failed)} failures>"


async def look_out(blueprint: Blueprint, context: PartContext, *, patience: float = PATIENCE_SECONDS) -> Seen:
    """Return who was found within *patience* seconds, and how far each was reached; a part that fails spoils nothing.

    What is for members alone is left out where this node is none.
    """
    seen = Seen()
    async with AsyncExitStack() as stack:
        opened: dict[str, dict[str, object]] = {}
        for slot in (TRANSPORT, LEDGER, DISCOVERY, PROBE):
            for choice in blueprint.of(slot):
                if choice.part.members_only and context.membership is None:
                    continue
                try:
                    thing = await open_part(choice, context, stack)
                except SwarmgateError as error:
                    seen.failed[f"{slot.name}/{choice.part.name}"] = str(error)
                else:
                    opened.setdefault(slot.name, {})[choice.part.name] = thing
        await _look(opened, context, seen, patience)
    return seen


async def _look(opened: dict[str, dict[str, object]], context: PartContext, seen: Seen, patience: float) -> None:
    transports = cast("dict[str, Transport]", opened.get(TRANSPORT.name, {}))
    discoveries = cast("dict[str, Discovery]", opened.get(DISCOVERY.name, {}))
    ledgers = cast("dict[str, Ledger]", opened.get(LEDGER.name, {}))
    if not ledgers:
        return
    [(ledger_name, ledger), *_] = ledgers.items()
    probes = services(cast("dict[str, Probe]", opened.get(PROBE.name, {})))
    reach, findings = by_scheme(schemes(transports)), Findings()
    async with AsyncExitStack() as stack:
        tasks = await stack.enter_async_context(background())
        for name, discovery in discoveries.items():
            tasks.start_soon(_discover, seen, name, discovery, Signed(ledger, findings, name))
        crews: dict[Service, Crew] = {}
        for service, probe in ((LLAMA_RPC, probes.get(LLAMA_RPC)), (GATEWAY, probes.get(GATEWAY) or Knocking())):
            entered = muster(ledger, service, reach, probe=probe, me=context.node.id)
            crews[service] = await stack.enter_async_context(entered)
        await anyio.sleep(patience)  # who has not answered by then is reported as one that did not
        told = partial(_told, findings=findings, otherwise=ledger_name, patience=patience)
        seen.workers = tuple(told(member) for member in crews[LLAMA_RPC].members())
        seen.gateways = tuple(told(member) for member in crews[GATEWAY].members())


async def _discover(seen: Seen, name: str, discovery: Discovery, ledger: Ledger) -> None:
    try:
        await discover(name, discovery, ledger)
    except SwarmgateError as error:
        seen.failed[f"{DISCOVERY.name}/{name}"] = str(error)


def _told(member: Member, *, findings: Findings, otherwise: str, patience: float) -> Member:
    """Return *member* with how it was found, and with a verdict."""
    member = replace(member, found=findings.of(member.offer) or (otherwise,))
    if member.standing != "reaching":
        return member
    return replace(member, standing="left_out", reason=member.reason or f"did not answer within {patience:g} s")
