"""Lets the gateways that are offered answer too, each by a backend of its own."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, cast

from swarmgate.config.choices import Choice
from swarmgate.config.settings import Settings
from swarmgate.contracts import Backend
from swarmgate.crew import Crew
from swarmgate.nouns import NodeId, Worker
from swarmgate.opening import open_part
from swarmgate.parts import BACKEND, Part, PartContext
from swarmgate.peers import Peers, peer_options
from swarmgate.reaching import UNPROTECTED
from swarmgate.roster import Member
from swarmgate.swarm.credential import RUN, credential
from swarmgate.swarm.membership import Membership


async def follow_gateways(
    crew: Crew,
    part: Part[Any, Backend],
    context: PartContext,
    settings: Settings,
    *,
    enter: Callable[[str, Backend], str],
    leave: Callable[[str], None],
) -> None:
    """Have *part* ask the gateways of *crew*, until cancelled; *enter* and *leave* hear of each of its backends."""

    @asynccontextmanager
    async def opened(worker: Worker) -> AsyncGenerator[Backend]:
        url = f"http://{worker.endpoint}"
        member = next((each for each in crew.members() if each.offer.key == worker.offer.key), None)
        shown = shown_to(member, context.membership)
        options = peer_options(part.options, url, settings.peer_api_key_file, credential=shown)
        async with AsyncExitStack() as stack:
            yield cast("Backend", await open_part(Choice(BACKEND, part, options), context, stack))

    peers = Peers(opened, enter, leave, me=context.node.id, linger_seconds=settings.queue_seconds)
    await peers.follow(crew, crew.announced, crew.used)


def shown_to(member: Member | None, membership: Membership | None) -> str | None:
    """Return the credential for the gateway that *member* is, None if it takes none, or others could read it."""
    if member is None or membership is None or not (run := member.offer.labels.get(RUN)):
        return None
    if not member.address or member.address.partition("://")[0] in UNPROTECTED:
        return None
    return credential(membership, NodeId(member.offer.node), run)
