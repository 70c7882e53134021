"""What the gateway sees of its swarm, for whoever looks after it."""

from __future__ import annotations

from litestar import Response, route
from litestar.handlers import HTTPRouteHandler

from swarmgate.http.door import Door
from swarmgate.http.routes import READ, json
from swarmgate.http.wire.swarm import swarm_json


def swarm_route(door: Door) -> HTTPRouteHandler:
    """Return the handler of ``/v1/swarm``."""

    @route("/v1/swarm", http_method=READ)
    async def swarm() -> Response[bytes]:
        return json(swarm_json(door.swarm(), door.dispatcher.models(), door.version, door.board.history.rates))

    return swarm
