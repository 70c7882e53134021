"""Streams of events that last until the client hangs up or the gateway is stopped."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

import anyio
from litestar.types import Receive, Scope, Send

from swarmgate.http.door import Door
from swarmgate.http.exchange import attend
from swarmgate.http.faults import fault
from swarmgate.http.reply import Reply
from swarmgate.http.visit import current
from swarmgate.http.wire.heading import PING


class LastingStream:
    """Sends what *events* yields, which are server-sent events ready to go out, as an ASGI application.

    The head goes out at once, with a comment; further comments follow while there is nothing else.
    """

    def __init__(self, door: Door, events: AsyncGenerator[bytes]) -> None:
        self._door = door
        self._events = events

    def __repr__(self) -> str:
        return f"<LastingStream of {self._events!r}>"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        reply = Reply(send, current())
        reply.streams = True
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(attend, receive, reply, self._door.limits.ping_seconds, tasks.cancel_scope)
            try:
                async with aclosing(self._events) as events:
                    with self._door.lasting():
                        await reply.write(PING)
                        async for event in events:
                            await reply.write(event)
                await reply.write(b"", last=True)
            except Exception as error:  # noqa: BLE001  # faults knows them all
                await reply.fail(fault(error))
            tasks.cancel_scope.cancel()
