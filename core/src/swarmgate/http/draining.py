"""Takes a node out of service, and back in, for whoever looks after the swarm."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Request, Response, post
from litestar.handlers import HTTPRouteHandler

from swarmgate.errors import RequestError
from swarmgate.http.door import Door
from swarmgate.http.operators import admit_operator
from swarmgate.http.routes import json
from swarmgate.http.wire.reading import Body, read
from swarmgate.http.wire.swarm import Drained


class DrainBody(Body, kw_only=True):
    """Which node is meant, by the name of the backend or of the gateway behind it; *drain* false takes it back in."""

    node: Annotated[str, msgspec.Meta(min_length=1)]
    drain: bool = True


class UnknownNode(RequestError):
    """No backend, and no gateway behind one, has that name."""

    status = 404
    code = "node_not_found"


def drain_route(door: Door) -> HTTPRouteHandler:
    """Return the handler of ``/v1/swarm/drain``."""

    @post("/v1/swarm/drain", status_code=200)
    async def drain(request: Request[Any, Any, Any]) -> Response[bytes]:
        admit_operator(door, request, to="drain nodes")
        body = read(await request.body(), DrainBody)
        meant = door.dispatcher.drain(body.node, wanted=body.drain)
        if not meant:
            known = sorted({node.node or node.backend for node in door.dispatcher.nodes()})
            raise UnknownNode(f"no node is called {body.node!r}; there are: {', '.join(known) or 'none'}", param="node")
        await door.drained()
        return json(msgspec.json.encode(Drained(backends=list(meant), draining=body.drain)))

    return drain
