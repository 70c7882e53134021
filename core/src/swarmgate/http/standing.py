"""How the gateway stands: alive, ready, which version, and its metrics."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Request, Response, route
from litestar.handlers import HTTPRouteHandler

from swarmgate.dispatch import Dispatcher
from swarmgate.http.door import Door
from swarmgate.http.routes import READ, json
from swarmgate.nouns import Health

_UNAVAILABLE = 503


class Alive(msgspec.Struct, kw_only=True):
    """The process answers."""

    status: str = "ok"


class Check(msgspec.Struct, kw_only=True):
    """How one model, or the gateway itself, does."""

    ready: bool
    reason: str = ""
    progress: float | None = None


class Readiness(msgspec.Struct, kw_only=True):
    """Ready if every check is."""

    ready: bool
    checks: dict[str, Check]


class LoadingDetail(msgspec.Struct, kw_only=True):
    """Why llama-server's health check is not met."""

    message: str
    type: str = "unavailable_error"
    code: int = _UNAVAILABLE


class Loading(msgspec.Struct, kw_only=True):
    """What llama-server says while it loads."""

    error: LoadingDetail


class Version(msgspec.Struct, kw_only=True):
    """What is running."""

    version: str
    name: str = "swarmgate"


def readiness(door: Door, model: str | None) -> Readiness:
    """Return the checks of *model*, or of all models.

    Raises:
        UnknownModel: nobody serves *model*.

    """
    dispatcher = door.dispatcher
    names = [dispatcher.model(model).name] if model is not None else _wanted(dispatcher)
    checks = {"gateway": Check(ready=not door.closing, reason="shutting down" if door.closing else "")}
    checks |= {f"model:{name}": _check(dispatcher.health(name)) for name in names}
    if not names:
        checks["models"] = Check(ready=False, reason="no model is served")
    return Readiness(ready=all(check.ready for check in checks.values()), checks=checks)


def standing_routes(door: Door) -> list[HTTPRouteHandler]:
    """Return the handlers that whoever watches over the gateway asks."""
    alive = msgspec.json.encode(Alive())

    @route(["/healthz", "/livez"], http_method=READ)
    async def livez() -> Response[bytes]:
        return json(alive)

    @route("/readyz", http_method=READ)
    async def readyz(request: Request[Any, Any, Any]) -> Response[bytes]:
        found = readiness(door, request.query_params.get("model"))
        return json(msgspec.json.encode(found), status=200 if found.ready else _UNAVAILABLE)

    @route("/health", http_method=READ)
    async def health() -> Response[bytes]:
        if readiness(door, None).ready:
            return json(alive)
        return json(msgspec.json.encode(Loading(error=LoadingDetail(message="Loading model"))), status=_UNAVAILABLE)

    @route("/version", http_method=READ)
    async def version() -> Response[bytes]:
        return json(msgspec.json.encode(Version(version=door.version)))

    @route("/metrics", http_method=READ)
    async def metrics() -> Response[bytes]:
        return Response(await door.metrics.text(), media_type="text/plain; version=0.0.4")

    return [livez, readyz, health, version, metrics]


def _wanted(dispatcher: Dispatcher) -> list[str]:
    """Return the models that should answer: those that somebody unloaded make nothing less ready."""
    return [card.name for card in dispatcher.models() if not dispatcher.health(card.name).unloaded]


def _check(health: Health) -> Check:
    return Check(ready=health.ready, reason=health.reason, progress=health.progress)
