"""What ``gateway doctor`` asks of servers that are listed: whether each answers, takes the key, and has a model."""

from __future__ import annotations

import time
from collections.abc import Sequence

import anyio
import anyio.to_thread
from swarmgate.api import (
    Ailment,
    Check,
    ConfigError,
    Finding,
    Hung,
    Node,
    Patient,
    SwarmgateError,
    Unreachable,
    current_passage,
)

from swarmgate_backend_openai import OpenAIOptions

_MOST_NAMED = 5

NOT_REACHED = Ailment(
    code="servers.not_reached",
    meaning='A gateway or other server that is listed (`--node`, `GATEWAY_NODES`, `use = "openai"`) does not answer.',
    remedy="Is it running?  Does it listen where this machine can reach it (`--listen 0.0.0.0:8080`, not only on its"
    " own 127.0.0.1), and does its firewall let this machine in?  Is the URL right: host, port, `http` or `https`?",
)
REFUSED = Ailment(
    code="servers.refused",
    meaning="A server that is listed answers, but not with a list of models: it wants another API key, or does not"
    " speak OpenAI's API at this URL.",
    remedy="The finding has what it said.  A key goes into `api_key_file` of the backend (`peer_api_key_file` for"
    " `--node`); the URL leads to where `/v1/models` is.",
)
NO_MODEL = Ailment(
    code="servers.no_model",
    meaning="A server that is listed answers, and serves none of the models that are wanted of it.",
    remedy="Load one there; if `models` names some, compare it with what the server lists.",
)
ITSELF = Ailment(
    code="servers.itself",
    meaning="A server that is listed is this gateway itself.",
    remedy="Take it off the list of nodes.",
)


async def _examine(patient: Patient) -> Sequence[Finding]:
    listed = [each for each in patient.options["backend/openai"] if isinstance(each, OpenAIOptions)]
    findings: dict[int, Finding] = {}

    async def look(index: int, options: OpenAIOptions) -> None:
        findings[index] = await seen(options, patient.context.node)

    async with anyio.create_task_group() as tasks:
        for index, options in enumerate(listed):
            tasks.start_soon(look, index, options)
    return [findings[index] for index in sorted(findings)]


SERVERS = Check(
    name="servers",
    summary="the servers that are listed to answer too",
    ailments=(NOT_REACHED, REFUSED, NO_MODEL, ITSELF),
    examine=_examine,
    parts=frozenset({"backend/openai"}),
)


async def seen(options: OpenAIOptions, node: Node) -> Finding:
    """Return what is to be said of the server of *options* to *node*, after one look at it."""
    from swarmgate_backend_openai.address import base_of, name_of
    from swarmgate_backend_openai.backend import read_key
    from swarmgate_backend_openai.client import open_client
    from swarmgate_backend_openai.listing import Choosing, cards, read_listing, wanted
    from swarmgate_backend_openai.liveness import Liveness

    about = options.url
    try:
        base = base_of(options.url)
        key = await anyio.to_thread.run_sync(read_key, options)
    except ConfigError as error:
        return REFUSED.found(str(error), about=about)
    who, liveness = name_of(base), Liveness(silence=None, clock=time.monotonic)
    began = time.monotonic()
    try:
        opened = open_client(base, who, key=key, connect_seconds=options.connect_seconds, liveness=liveness)
        async with opened as client:
            body = await client.get("/v1/models", current_passage().onward(node.id), seconds=options.look_seconds)
        listing = read_listing(body)
    except (Unreachable, Hung) as error:
        return NOT_REACHED.found(str(error), about=about)
    except SwarmgateError as error:
        return REFUSED.found(str(error), about=about)
    if listing.gateway is not None and listing.gateway.id == node.id:
        return ITSELF.found("is this gateway itself", about=about)
    choosing = Choosing(me=node.id, node=options.name or who, wanted=wanted(options.models), slots=options.slots)
    found, why = cards(listing, choosing)
    if why or not found:
        return NO_MODEL.noted(why or "serves no model", about=about)
    names = ", ".join(card.name for card in found[:_MOST_NAMED])
    more = f" and {len(found) - _MOST_NAMED} more" if len(found) > _MOST_NAMED else ""
    kind = f"the gateway {listing.gateway.name!r}" if listing.gateway is not None and listing.gateway.name else "it"
    after = f"{(time.monotonic() - began) * 1000:.0f} ms"
    return Finding(what=f"{kind} answers after {after}, with {names}{more}", about=about)
