"""One request, from its body to the last byte of its answer, in one task.

The exchange is an ASGI application, so that a single ``async with`` holds everything: the
backend's work lives inside it, the client's hanging up cancels it, and an error before the first
piece can still choose the status.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Generic

import anyio
from litestar.types import Receive, Scope, Send

from swarmgate.http.bodies import ClientGone, body_of, header
from swarmgate.http.door import Door
from swarmgate.http.faults import fault
from swarmgate.http.reply import Reply
from swarmgate.http.visit import current
from swarmgate.http.wire.carrying import EXTENSIONS, TOKENS_HEADER
from swarmgate.http.wire.reading import BodyT, ignored, listed, read
from swarmgate.passage import HOPS_HEADER, PATH_HEADER, Passage, read_passage, travelling

_HOPS, _PATH = HOPS_HEADER.lower().encode(), PATH_HEADER.lower().encode()


@dataclass(frozen=True, slots=True)
class Manner:
    """How a request wants to be dealt with: *session* is its ``X-Session-ID``, *tokens* asks for those."""

    session: str = ""
    tokens: bool = False


#: Does what a body asks for, in the manner its headers want.
Work = Callable[[Door, BodyT, Reply, Manner], Awaitable[None]]


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
        visit = current()
        reply = Reply(send, visit, tells_route=self._door.limits.route_headers)
        at, now = datetime.now(tz=UTC), anyio.current_time()
        self._door.records.enter(visit, scope["path_template"], at=at, now=now)
        try:
            passage = passage_of(scope)
            passage.check(self._door.node.id, self._door.limits.max_hops)
            content = await body_of(scope, receive, limit=self._door.limits.max_body_bytes)
        except ClientGone:
            return
        except Exception as error:  # noqa: BLE001  # faults knows them all
            await reply.fail(fault(error))
            return
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(attend, receive, reply, self._door.limits.ping_seconds, tasks.cancel_scope)
            try:
                with self._door.interruptible(), travelling(passage):
                    await self._answer(content, _manner(scope), reply)
            except Exception as error:  # noqa: BLE001  # faults knows them all
                if reply.begun:
                    self._door.metrics.truncated(current().model)
                await reply.fail(fault(error))
            if not reply.ended:  # else the server ends the other task: cancelling costs as much as several events
                tasks.cancel_scope.cancel()

    async def _answer(self, content: bytes, manner: Manner, reply: Reply) -> None:
        body = read(content, self._kind)
        if names := ignored(content, self._kind, without=() if manner.tokens else EXTENSIONS):
            reply.extra.append((b"x-gateway-ignored-fields", listed(names).encode()))
        await self._work(self._door, body, reply, manner)


def passage_of(scope: Scope) -> Passage:
    """Return how the request of *scope* came here.

    Raises:
        RequestError: its headers say nothing that a gateway would say.

    """
    return read_passage(header(scope, _HOPS), header(scope, _PATH))


def _manner(scope: Scope) -> Manner:
    return Manner(session=header(scope, b"x-session-id"), tokens=header(scope, TOKENS_HEADER) == "1")


async def attend(receive: Receive, reply: Reply, pause: float, scope: anyio.CancelScope) -> None:
    """Tell the client that it waits whenever a stream was silent for *pause* seconds.

    When it is gone, *scope* is cancelled: nobody is left to work for.  Both are one task's, since each task of
    a request costs as much as several events.  It ends when the response has: an ASGI server tells of that
    as it tells of a client that is gone.
    """
    silent_since = anyio.current_time()
    while True:
        with anyio.CancelScope(deadline=silent_since + pause):
            while (await receive())["type"] != "http.disconnect":
                pass
            if not reply.ended:
                scope.cancel()
            return
        if reply.sent_at > silent_since:
            silent_since = reply.sent_at
        else:
            await reply.ping()
            silent_since = anyio.current_time()
