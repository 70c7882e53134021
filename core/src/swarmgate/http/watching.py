"""``/v1/swarm/events``: the swarm as it changes, for whoever keeps looking."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

from litestar import Request, get
from litestar.handlers import HTTPRouteHandler
from litestar.types import ASGIApp

from swarmgate.errors import Unauthorized
from swarmgate.http.door import Door
from swarmgate.http.lasting import LastingStream
from swarmgate.http.operators import admit_operator
from swarmgate.http.wire.heading import encode
from swarmgate.http.wire.watching import hello_document, named_event

PATH = "/v1/swarm/events"


def watching_route(door: Door) -> HTTPRouteHandler:
    """Return the handler of ``/v1/swarm/events``."""

    @get(PATH)
    async def events(request: Request[Any, Any, Any]) -> ASGIApp:
        try:
            admit_operator(door, request, to="look after the swarm")
        except Unauthorized as error:
            return LastingStream(door, _watched(door, str(error)))
        return LastingStream(door, _watched(door))

    return events


async def _watched(door: Door, refusal: str = "") -> AsyncGenerator[bytes]:
    """Yield the events for one client; *refusal* is why it is no operator."""
    board = door.board
    with board.watched() as (state, number):
        told = number
        hello = hello_document(board.history.samples, refusal)
        yield named_event("hello", told, encode(hello)) + named_event(state.name, state.number, state.data)
        while True:
            for notice in board.news(told):
                told = notice.number
                yield named_event(notice.name, notice.number, notice.data)
            await board.changed(told)
