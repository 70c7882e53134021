"""One request, from its body to the last byte of its answer, in one task.

The exchange is an ASGI application, so that a single ``async with`` holds everything: the
backend's work lives inside it, the client's hanging up cancels it, and an error before the first
piece can still choose the status.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Generic

import anyio
from litestar.types import Receive, Scope, Send

from swarmgate.http.bodies import ClientGone, body_of, header
from swarmgate.http.door import Door
from swarmgate.http.faults import fault
from swarmgate.http.reply import Reply
from swarmgate.http.visit import current
from swarmgate.http.wire.reading import BodyT, ignored, listed, read

#: Does what a body asks for; *session* is the ``X-Session-ID`` header.
Work = Callable[[Door, BodyT, Reply, str], Awaitable[None]]


class Exchange(Generic[BodyT]):
    """Reads a body of one *kind*, has *work* done on it, and tells the client what went wrong."""

    def __init__(self, door: Door, kind: type[BodyT], work: Work[BodyT]) -> None:
        self._door = door
        self._kind = kind
        self._work = work

    def __repr__(self) -> str:
        return f"<Exchange {self._kind.__name__}>"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        reply = Reply(send, current())
        try:
            content = await body_of(scope, receive, limit=self._door.limits.max_body_bytes)
        except ClientGone:
            return
        except Exception as error:  # noqa: BLE001  # faults knows them all
            await reply.fail(fault(error))
            return
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_hang_up, receive, tasks.cancel_scope)
            try:
                with self._door.interruptible():
                    await self._answer(content, header(scope, b"x-session-id"), reply)
            except Exception as error:  # noqa: BLE001  # faults knows them all
                if reply.begun:
                    self._door.metrics.truncated(current().model)
                await reply.fail(fault(error))
            tasks.cancel_scope.cancel()

    async def _answer(self, content: bytes, session: str, reply: Reply) -> None:
        body = read(content, self._kind)
        if names := ignored(content, self._kind):
            reply.extra.append((b"x-gateway-ignored-fields", listed(names).encode()))
        await self._work(self._door, body, reply, session)


async def _hang_up(receive: Receive, scope: anyio.CancelScope) -> None:
    """Cancel *scope* when the client is gone: nobody is left to work for."""
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()
