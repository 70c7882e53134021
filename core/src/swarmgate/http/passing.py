"""``/p2p/token``: what lets other machines into the swarm, in LocalAI's shape, for whoever looks after the gateway."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, route
from litestar.handlers import HTTPRouteHandler

from swarmgate.errors import RequestError
from swarmgate.http.door import Door
from swarmgate.http.operators import admit_operator
from swarmgate.http.routes import READ
from swarmgate.swarm.token import Token

#: Where it is in LocalAI's documentation, and where in its code.
PATHS = ("/p2p/token", "/api/p2p/token")


class InNoSwarm(RequestError):
    """The gateway is in no swarm, or has not got what was asked for."""

    status = 404
    code = "no_swarm"


def token_route(door: Door) -> HTTPRouteHandler:
    """Return the handler of ``/p2p/token``."""

    @route(list(PATHS), http_method=READ)
    async def token(request: Request[Any, Any, Any]) -> Response[bytes]:
        admit_operator(door, request, to="see the swarm's token")
        if door.ticket is None:
            raise InNoSwarm("this gateway is in no swarm; start it with --p2p")
        if not isinstance(door.ticket, Token):
            raise InNoSwarm("this gateway is in its swarm by an invite: it has no token to give away")
        return Response(door.ticket.text.encode(), media_type="text/plain", headers={"Cache-Control": "no-store"})

    return token
