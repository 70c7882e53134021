"""The writing end of one response: head, body, and what is said when things go wrong."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import anyio
from litestar.types import Send

from swarmgate.http.visit import Visit
from swarmgate.http.wire.errors import Fault

Header = tuple[bytes, bytes]

_JSON: Header = (b"content-type", b"application/json")
_STREAM: tuple[Header, ...] = ((b"cache-control", b"no-cache"), (b"x-accel-buffering", b"no"))
#: What may not stand in a header: balancers' and other machines' words are nobody's own.
_UNFIT = re.compile(r"[^\x20-\x7e]+")
_LONGEST = 200


class Reply:
    """Sends one response, in the visit's dialect.  A stream's head goes out with its first bytes, in one write.

    Unless *tells_route* is false, the head has what *visit* knows by then, and a stream that was
    carried on after that ends with a comment that has the final numbers.
    """

    def __init__(self, send: Send, visit: Visit, *, tells_route: bool = True) -> None:
        self._send = send
        self._visit = visit
        self._dialect = visit.dialect
        self._tells_route = tells_route
        self._told_attempts = 0
        self._begun = False
        self._ended = False
        self._turn = anyio.Lock(fast_acquire=True)
        #: When something was last sent, by the loop's clock.
        self.sent_at = 0.0
        #: Whether this is a stream, which may have comments, also before its first piece.
        self.streams = False
        #: What a stream says that fails after its head, if not just what the dialect does.
        self.failure: Callable[[Fault], bytes] = self._dialect.failure
        #: Further headers of the response.
        self.extra: list[Header] = []

    def __repr__(self) -> str:
        return f"<Reply {self._visit.id} {'begun' if self._begun else 'not begun'}>"

    @property
    def begun(self) -> bool:
        """Return whether the status is out, so that it cannot be chosen any more."""
        return self._begun

    @property
    def ended(self) -> bool:
        """Return whether nothing more can be sent."""
        return self._ended

    async def write(self, events: bytes, *, last: bool = False) -> None:
        """Send a piece of a stream, after the head if it is the first."""
        async with self._turn:
            if self._ended:  # a ping that came too late
                return
            self._ended = last
            self.sent_at = anyio.current_time()
            if not self._begun:
                await self._head(200, ((b"content-type", self._dialect.stream_type), *_STREAM))
            elif last:
                events = self._news() + events
            await self._send({"type": "http.response.body", "body": events, "more_body": not last})

    async def ping(self) -> None:
        """Send what says that something will come, if a stream is under way and has a place for it."""
        if self.streams and self._dialect.ping:
            await self.write(self._dialect.ping)

    async def document(self, body: bytes, *, status: int = 200, headers: tuple[Header, ...] = ()) -> None:
        """Send a whole JSON document."""
        self._ended = True  # a comment has no place in it
        await self._head(status, (_JSON, (b"content-length", b"%d" % len(body)), *headers))
        await self._send({"type": "http.response.body", "body": body, "more_body": False})

    async def fail(self, fault: Fault) -> None:
        """Say what went wrong: by a status if none is out yet, else in the stream, and end it."""
        self._visit.fault = fault.name
        fault = replace(fault, request_id=self._visit.id)
        if self._begun:
            await self.write(self.failure(fault), last=True)
            return
        headers = tuple((name.encode(), value.encode("latin-1", "replace")) for name, value in fault.headers.items())
        await self.document(self._dialect.error(fault), status=fault.status, headers=headers)

    async def _head(self, status: int, headers: tuple[Header, ...]) -> None:
        self._begun = True
        self._visit.status = status
        await self._send(
            {"type": "http.response.start", "status": status, "headers": [*headers, *self._known(), *self.extra]}
        )

    def _known(self) -> list[Header]:
        """Return what is known of the way: nothing where no model was found to ask."""
        visit = self._visit
        if not self._tells_route or not visit.model:
            return []
        self._told_attempts = visit.attempts
        texts = {b"x-gateway-worker": visit.worker, b"x-gateway-route-reason": visit.reason}
        return [
            *((name, _one_line(text)) for name, text in texts.items() if text),
            (b"x-gateway-attempts", b"%d" % visit.attempts),
            (b"x-gateway-resumed", b"%d" % visit.resumed),
            (b"x-gateway-queue-ms", b"%d" % round(visit.queue_seconds * 1000)),
        ]

    def _news(self) -> bytes:
        """Return a comment with what has changed since the head: attempts that came later."""
        visit = self._visit
        if not self._tells_route or visit.attempts == self._told_attempts or not self._dialect.comments:
            return b""
        facts = (visit.attempts, visit.resumed, _one_line(visit.worker))
        return b": x-gateway-attempts=%d x-gateway-resumed=%d x-gateway-worker=%s\n\n" % facts


def _one_line(text: str) -> bytes:
    """Return *text* as a header can hold it."""
    return _UNFIT.sub("?", " ".join(text.split()))[:_LONGEST].encode()
