"""``/v1/responses``: OpenAI's newer way to ask, and what is kept of its answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from litestar import Request, Response, delete, post, route
from litestar.handlers import HTTPRouteHandler

from swarmgate.errors import ContextExceeded, RequestError, Unsupported
from swarmgate.http.answer import Answer
from swarmgate.http.door import Door
from swarmgate.http.exchange import Exchange, Manner
from swarmgate.http.faults import leading
from swarmgate.http.kept import Kept
from swarmgate.http.reply import Reply
from swarmgate.http.routes import READ, caller_of, json, posted
from swarmgate.http.visit import current
from swarmgate.http.wire.asked import Generating
from swarmgate.http.wire.heading import encode
from swarmgate.http.wire.responses.asking import ResponseBody, given, response, shortened
from swarmgate.http.wire.responses.documents import DeletedResponse, ResponseDocument
from swarmgate.http.wire.responses.items import ItemBody, named, resolved
from swarmgate.http.wire.responses.listing import items_json

#: Input items listed where nobody says how many, and at most.
USUAL_ITEMS, MOST_ITEMS = 20, 100


async def write_response(door: Door, body: ResponseBody, reply: Reply, manner: Manner) -> None:
    """Answer with a response, and keep it if it is to be kept."""
    owner, caller = _owner(door), caller_of(manner)
    items = named(resolved(given(body), lambda name: door.responses.item(name, owner)), caller.tag)
    earlier = door.responses.conversation(body.previous_response_id or "", owner)
    keep = _keeping(door, owner, items) if body.store is not False and door.responses.limit else None
    asked = response(body, items, door.dispatcher.models(), caller, earlier=earlier, keep=keep)
    await _write(door, asked, reply, shortens=body.truncation == "auto")


def response_routes(door: Door) -> list[HTTPRouteHandler]:
    """Return the handlers of ``/v1/responses``."""
    responses = door.responses

    @route("/v1/responses/{response_id:str}", http_method=READ)
    async def one(request: Request[Any, Any, Any]) -> Response[bytes]:
        if request.query_params.get("stream", "false") != "false":
            raise Unsupported("stream: a response that is over is given as a whole here; leave it out", param="stream")
        return json(responses.find(_name(request), _owner(door)).document)

    @delete("/v1/responses/{response_id:str}", status_code=200)
    async def forget(request: Request[Any, Any, Any]) -> Response[bytes]:
        name = _name(request)
        responses.forget(name, _owner(door))
        return json(encode(DeletedResponse(id=name)))

    @post("/v1/responses/{response_id:str}/cancel", status_code=200)
    async def cancel(request: Request[Any, Any, Any]) -> Response[bytes]:
        responses.find(_name(request), _owner(door))
        raise RequestError(
            "only responses in the background can be cancelled, and there are none here; hang up instead"
        )

    @route("/v1/responses/{response_id:str}/input_items", http_method=READ)
    async def input_items(request: Request[Any, Any, Any]) -> Response[bytes]:
        kept = responses.find(_name(request), _owner(door))
        limit, order, after = _page(request)
        return json(items_json(kept.given, order="asc" if order == "asc" else "desc", after=after, limit=limit))

    return [posted("/v1/responses", Exchange(door, ResponseBody, write_response)), one, forget, cancel, input_items]


async def _write(door: Door, asked: Generating, reply: Reply, *, shortens: bool) -> None:
    """Write the answer; if it *shortens*, leave out the older half as long as the prompt does not fit."""
    while True:
        try:
            await Answer(door, asked, reply).write()
        except Exception as error:
            if isinstance(fault := leading(error), RequestError) and fault.param == "messages":
                fault.param = "input"  # as it is called here
            if not (shortens and isinstance(fault, ContextExceeded)) or reply.begun:
                raise
            shorter = shortened(asked)
            if shorter is None:
                raise
            asked = shorter
        else:
            return


def _keeping(door: Door, owner: str, items: Sequence[ItemBody]) -> Callable[[ResponseDocument], None]:
    def keep(whole: ResponseDocument) -> None:
        door.responses.keep(
            Kept(
                id=whole.id,
                owner=owner,
                document=encode(whole),
                given=tuple(items),
                written=msgspec.convert(msgspec.to_builtins(whole.output), tuple[ItemBody, ...]),
                previous=whole.previous_response_id or "",
                given_bytes=len(encode(items)),
            )
        )

    return keep


def _owner(door: Door) -> str:
    """Return who may come back to what is kept now: with API keys the bearer of this one, else whoever knows its id."""
    return current().asker.key if door.limits.api_keys else ""


def _name(request: Request[Any, Any, Any]) -> str:
    return str(request.path_params["response_id"])


def _page(request: Request[Any, Any, Any]) -> tuple[int, str, str]:
    limit, order = request.query_params.get("limit", str(USUAL_ITEMS)), request.query_params.get("order", "desc")
    if not (
        limit.isascii() and limit.isdecimal() and len(limit) <= len(str(MOST_ITEMS)) and 0 < int(limit) <= MOST_ITEMS
    ):
        raise RequestError(f"limit: expected a number from 1 to {MOST_ITEMS}, found {limit[:20]!r}", param="limit")
    if order not in {"asc", "desc"}:
        raise RequestError(f"order: expected 'asc' or 'desc', found {order[:20]!r}", param="order")
    return int(limit), order, request.query_params.get("after", "")
