"""What became of requests, for whoever wants to know why they went where they went."""

from __future__ import annotations

from typing import Any

import anyio
from litestar import Request, Response, route
from litestar.handlers import HTTPRouteHandler

from swarmgate.errors import RequestError
from swarmgate.http.door import Door
from swarmgate.http.records import Records
from swarmgate.http.routes import READ, json
from swarmgate.http.wire.requests import request_json, requests_json

#: Requests listed where nobody says how many, and at most.
USUAL_LIMIT, HIGHEST_LIMIT = 20, 1000
_DIGITS = 4
_LONGEST_ID = 128


class UnknownRequest(RequestError):
    """No such request is remembered."""

    status = 404
    code = "request_not_found"


def request_routes(door: Door) -> list[HTTPRouteHandler]:
    """Return the handlers of ``/v1/requests``."""
    records = door.records

    @route("/v1/requests", http_method=READ)
    async def requests(request: Request[Any, Any, Any]) -> Response[bytes]:
        limit = _limit(request.query_params.get("limit", str(USUAL_LIMIT)))
        return json(requests_json(records.latest(limit, now=anyio.current_time()), records.kept))

    @route("/v1/requests/{id:path}", http_method=READ)
    async def one(request: Request[Any, Any, Any]) -> Response[bytes]:
        name = str(request.path_params["id"]).removeprefix("/")
        account = records.find(name, now=anyio.current_time())
        if account is None:
            raise UnknownRequest(_why_unknown(name[:_LONGEST_ID], records))
        return json(request_json(account))

    return [requests, one]


def _limit(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= _DIGITS and 0 < int(text) <= HIGHEST_LIMIT):
        raise RequestError(f"limit: expected a number from 1 to {HIGHEST_LIMIT}, found {text[:20]!r}", param="limit")
    return int(text)


def _why_unknown(name: str, records: Records) -> str:
    if not records.kept:
        return "this gateway remembers no requests; set kept_requests in [gateway] above 0"
    return (
        f"no request {name!r} is remembered; those are that asked a model, the last {records.kept} of them until the"
        " gateway stops: raise kept_requests in [gateway] to remember more"
    )
