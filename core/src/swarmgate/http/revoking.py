"""Has the gateway act by a revocation at once, for whoever looks after the swarm."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Request, Response, post
from litestar.handlers import HTTPRouteHandler

from swarmgate.errors import RequestError, WireError
from swarmgate.http.door import Door
from swarmgate.http.operators import admit_operator
from swarmgate.http.passing import InNoSwarm
from swarmgate.http.routes import json
from swarmgate.http.wire.reading import Body, read


class RevokeBody(Body, kw_only=True):
    """The signed *entry* that says who is revoked, in base64."""

    entry: bytes


class Revoked(msgspec.Struct, kw_only=True):
    """Who is revoked from now on."""

    revoked: str


def revoke_route(door: Door) -> HTTPRouteHandler:
    """Return the handler of ``/v1/swarm/revoke``."""

    @post("/v1/swarm/revoke", status_code=200)
    async def revoke(request: Request[Any, Any, Any]) -> Response[bytes]:
        admit_operator(door, request, to="revoke members")
        body = read(await request.body(), RevokeBody)
        if door.revoke is None:
            raise InNoSwarm("this gateway is in no swarm; start it with --p2p")
        try:
            peer = await door.revoke(body.entry)
        except WireError as error:
            raise RequestError(str(error), param="entry") from None
        return json(msgspec.json.encode(Revoked(revoked=peer)))

    return revoke
