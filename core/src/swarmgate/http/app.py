"""The application: routes in, errors out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from litestar import Litestar, Request, Response
from litestar.config.cors import CORSConfig
from litestar.types import ASGIApp

from swarmgate.http.anthropic import anthropic_routes
from swarmgate.http.assets import page_routes
from swarmgate.http.door import Door
from swarmgate.http.doorway import Doorway
from swarmgate.http.draining import drain_route
from swarmgate.http.faults import fault
from swarmgate.http.keys import Keyring, guarded_by
from swarmgate.http.loading import loading_routes
from swarmgate.http.localai import localai_routes
from swarmgate.http.logs import logs_route
from swarmgate.http.ollama import ollama_routes
from swarmgate.http.openapi import openapi_route
from swarmgate.http.passing import token_route
from swarmgate.http.requests import request_routes
from swarmgate.http.responses import response_routes
from swarmgate.http.revoking import revoke_route
from swarmgate.http.routes import api_routes
from swarmgate.http.standing import standing_routes
from swarmgate.http.swarm import swarm_route
from swarmgate.http.visit import current
from swarmgate.http.watching import watching_route

#: What pages in browsers may read of an answer besides its body.
_EXPOSED = (
    "X-Request-ID",
    "Request-ID",
    "X-Gateway-Worker",
    "X-Gateway-Attempts",
    "X-Gateway-Resumed",
    "X-Gateway-Route-Reason",
    "X-Gateway-Queue-Ms",
    "X-Gateway-Ignored-Fields",
    "Retry-After",
    "Retry-After-Ms",
)


def application(door: Door) -> ASGIApp:
    """Return the ASGI application behind *door*."""
    origins = list(door.limits.cors_origins)
    app = Litestar(
        [
            *api_routes(door),
            *response_routes(door),
            *anthropic_routes(door),
            *ollama_routes(door),
            *loading_routes(door),
            swarm_route(door),
            watching_route(door),
            drain_route(door),
            revoke_route(door),
            token_route(door),
            *localai_routes(door),
            *request_routes(door),
            logs_route(door),
            *standing_routes(door),
            openapi_route(door),
            *page_routes(),
        ],
        middleware=[guarded_by(Keyring(door.limits.api_keys, tunnels=door.member_ports, examiner=door.examiner))],
        exception_handlers={Exception: _told},
        cors_config=CORSConfig(allow_origins=origins, expose_headers=list(_EXPOSED)) if origins else None,
        openapi_config=None,
        logging_config=None,
    )
    return Doorway(app, door.metrics, door.records)


def _told(_: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    visit = current()
    known = replace(fault(error), request_id=visit.id)
    visit.fault = known.name
    body = visit.dialect.error(known)
    return Response(body, status_code=known.status, headers=known.headers, media_type="application/json")
