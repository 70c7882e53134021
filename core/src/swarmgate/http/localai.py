"""LocalAI's paths for what is seen of the swarm: ``/api/p2p`` and those below it, for who looks after the gateway.

``/api/p2p/token`` is in :mod:`swarmgate.http.passing`.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from litestar import Request, Response, route
from litestar.handlers import HTTPRouteHandler
from msgspec import Struct

from swarmgate.http.door import Door
from swarmgate.http.operators import admit_operator
from swarmgate.http.routes import READ, json
from swarmgate.http.wire.heading import encode
from swarmgate.http.wire.localai import federated_nodes, p2p_nodes, p2p_stats, worker_nodes
from swarmgate.roster import Swarm


def localai_routes(door: Door) -> list[HTTPRouteHandler]:
    """Return the handlers of LocalAI's paths; as there, only operators are told."""
    documents: dict[str, Callable[[Swarm, datetime], Struct]] = {
        "/api/p2p": p2p_nodes,
        "/api/p2p/workers": worker_nodes,
        "/api/p2p/federation": federated_nodes,
        "/api/p2p/stats": lambda swarm, _: p2p_stats(swarm),
    }
    return [_told(door, path, made) for path, made in documents.items()]


def _told(door: Door, path: str, made: Callable[[Swarm, datetime], Struct]) -> HTTPRouteHandler:
    @route(path, http_method=READ)
    async def nodes(request: Request[Any, Any, Any]) -> Response[bytes]:
        admit_operator(door, request, to="see who is in the swarm by LocalAI's paths")
        return json(encode(made(door.swarm(), datetime.now(tz=UTC))))

    return nodes
