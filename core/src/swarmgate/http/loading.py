"""Loads and unloads models for whoever looks after the gateway, under paths of ours and under llama-server's."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Request, Response, post, route
from litestar.handlers import HTTPRouteHandler

from swarmgate.errors import RequestError
from swarmgate.hosted import Hosted
from swarmgate.http.door import Door
from swarmgate.http.operators import admit_operator
from swarmgate.http.routes import READ, json, served_models
from swarmgate.http.wire.models import Ordered, files_json
from swarmgate.http.wire.reading import Body, read
from swarmgate.shelf import Shelf

_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=1000)]


class LoadBody(Body, kw_only=True):
    """Which *model*: a known one by its name or alias, or a file of the models folder by its path there or its name.

    A file is loaded with *options* of the part that loads it, and clients call it *name*.  The answer comes when it is
    loaded, or unless *wait* at once; llama-server does not wait.
    """

    model: _Name
    name: _Name | None = None
    options: dict[str, Any] = {}
    wait: bool | None = None


class UnloadBody(Body, kw_only=True):
    """Which *model*; with *force* its answers are interrupted, with *forget* it is no longer listed either.

    The answer comes when its memory is free, or unless *wait* at once; llama-server does not wait.
    """

    model: _Name
    force: bool = False
    forget: bool = False
    wait: bool | None = None


def loading_routes(door: Door) -> list[HTTPRouteHandler]:
    """Return the handlers that load and unload, under our paths and llama-server's, and of the list it has."""

    async def loaded(request: Request[Any, Any, Any], *, waits: bool) -> Response[bytes]:
        admit_operator(door, request, to="load models")
        body = read(await request.body(), LoadBody)
        shelf = _shelf(door)
        wait = waits if body.wait is None else body.wait
        with door.interruptible():
            hosted = await shelf.load(body.model, name=body.name, options=body.options, wait=wait)
        return _told((hosted,))

    async def unloaded(request: Request[Any, Any, Any], *, waits: bool) -> Response[bytes]:
        admit_operator(door, request, to="unload models")
        body = read(await request.body(), UnloadBody)
        shelf = _shelf(door)
        wait = waits if body.wait is None else body.wait
        with door.interruptible():
            return _told(await shelf.unload(body.model, force=body.force, forget=body.forget, wait=wait))

    @post("/v1/models/load", status_code=200)
    async def load(request: Request[Any, Any, Any]) -> Response[bytes]:
        return await loaded(request, waits=True)

    @post("/v1/models/unload", status_code=200)
    async def unload(request: Request[Any, Any, Any]) -> Response[bytes]:
        return await unloaded(request, waits=True)

    @post("/models/load", status_code=200)
    async def load_at_once(request: Request[Any, Any, Any]) -> Response[bytes]:
        return await loaded(request, waits=False)

    @post("/models/unload", status_code=200)
    async def unload_at_once(request: Request[Any, Any, Any]) -> Response[bytes]:
        return await unloaded(request, waits=False)

    @route("/models", http_method=READ)
    async def models(request: Request[Any, Any, Any]) -> Response[bytes]:
        admit_operator(door, request, to="see the models folder")
        files = await door.shelf.files() if door.shelf is not None else ()
        held = {card.name: file.name for file, hosted in files if hosted is not None for card in hosted.cards}
        free = [file for file, hosted in files if hosted is None]
        served = served_models(door, relayed=False)
        return json(files_json(served, held, free, door.node, ping_seconds=door.limits.ping_seconds))

    return [load, unload, load_at_once, unload_at_once, models]


def _shelf(door: Door) -> Shelf:
    if door.shelf is None:
        raise RequestError("this gateway has no models of its own")
    return door.shelf


def _told(meant: tuple[Hosted, ...]) -> Response[bytes]:
    names = [card.name for hosted in meant for card in hosted.cards]
    return json(msgspec.json.encode(Ordered(models=names, state=meant[0].state)))
