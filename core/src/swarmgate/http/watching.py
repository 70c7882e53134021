"""``/v1/swarm/events``: the swarm as it changes, for whoever keeps looking."""

from __future__ import annotations

from typing import Any

import anyio
from litestar import Request, get
from litestar.handlers import HTTPRouteHandler
from litestar.types import ASGIApp, Receive, Scope, Send

from swarmgate.errors import Unauthorized
from swarmgate.http.door import Door
from swarmgate.http.exchange import attend
from swarmgate.http.operators import admit_operator
from swarmgate.http.reply import Reply
from swarmgate.http.visit import current
from swarmgate.http.wire.heading import encode
from swarmgate.http.wire.watching import bye_event, hello_document, named_event

PATH = "/v1/swarm/events"


class Watching:
    """Tells one client of every change, until it goes or the gateway stops; *refusal* is why it is no operator."""

    def __init__(self, door: Door, refusal: str) -> None:
        self._door = door
        self._refusal = refusal

    def __repr__(self) -> str:
        return f"<Watching {self._door.board!r}>"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the events."""
        reply = Reply(send, current(), tells_route=False)
        reply.streams = True
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(attend, receive, reply, self._door.limits.ping_seconds, tasks.cancel_scope)
            await self._tell(reply)
            tasks.cancel_scope.cancel()

    async def _tell(self, reply: Reply) -> None:
        board = self._door.board
        with board.watched() as (state, number):
            told = number
            hello = hello_document(board.history.samples, self._refusal)
            await reply.write(named_event("hello", told, encode(hello)))
            await reply.write(named_event(state.name, state.number, state.data))
            while not board.ended:
                for notice in board.news(told):
                    told = notice.number
                    await reply.write(named_event(notice.name, notice.number, notice.data))
                await board.changed(told)
        await reply.write(bye_event(told, "the gateway is being stopped"), last=True)


def watching_route(door: Door) -> HTTPRouteHandler:
    """Return the handler of ``/v1/swarm/events``."""

    @get(PATH)
    async def events(request: Request[Any, Any, Any]) -> ASGIApp:
        try:
            admit_operator(door, request, to="look after the swarm")
        except Unauthorized as error:
            return Watching(door, str(error))
        return Watching(door, "")

    return events
