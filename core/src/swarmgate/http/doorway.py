"""What every request passes: it gets an id, is counted, and is logged once when it is over."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import structlog
from structlog.contextvars import bound_contextvars

from swarmgate.http.askers import asker_of
from swarmgate.http.bodies import header
from swarmgate.http.faults import fault
from swarmgate.http.records import Records
from swarmgate.http.reply import Reply
from swarmgate.http.tongues import spoken_at
from swarmgate.http.visit import Visit, begin
from swarmgate.metrics import Metrics

if TYPE_CHECKING:
    from litestar.types import ASGIApp, Message, Receive, Scope, Send

#: What the web's servers count a request as whose client did not wait for the answer.
_GIVEN_UP = 499
_UNKNOWN = "unknown"
_OPEN_ROUTES = frozenset({"/healthz", "/livez", "/readyz", "/metrics"})


class Doorway:
    """Wraps the application."""

    def __init__(self, app: ASGIApp, metrics: Metrics, records: Records) -> None:
        self._app = app
        self._metrics = metrics
        self._records = records
        self._log = structlog.get_logger("swarmgate.http").bind()  # once: each line else binds anew

    def __repr__(self) -> str:
        return f"<Doorway of {self._app!r}>"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        visit = begin(header(scope, b"x-request-id"), asker_of(scope), spoken_at(scope["path"]))
        ids = [(name, visit.id.encode()) for name in (b"x-request-id", visit.dialect.id_header) if name]
        over = False

        async def answer(message: Message) -> None:
            nonlocal over
            if message["type"] == "http.response.start":
                visit.status = message["status"]
                message["headers"] = [*message["headers"], *ids]
            elif message["type"] == "http.response.body":
                over = not message.get("more_body", False)
            await send(message)

        began = anyio.current_time()
        self._metrics.began()
        with bound_contextvars(request_id=visit.id):
            try:
                await self._app(scope, receive, answer)
            except Exception as error:
                if visit.status:
                    raise
                await Reply(answer, visit).fail(fault(error))
            finally:
                self._tell(scope, visit, began, over=over)

    def _tell(self, scope: Scope, visit: Visit, began: float, *, over: bool) -> None:
        route = _UNKNOWN
        if "path_template" in scope:  # it is not, where no route was found
            route = scope["path_template"]
        status = visit.status if over else _GIVEN_UP
        now = anyio.current_time()
        seconds = now - began
        self._records.leave(visit, status=status, now=now)
        self._metrics.ended(route=route, model=visit.model, code=status, seconds=seconds)
        facts: dict[str, object] = {"route": route, "status": status, "seconds": round(seconds, 4)}
        if visit.model:
            facts |= {"model": visit.model, "worker": visit.worker, "attempts": visit.attempts}
            facts |= {"prompt_tokens": visit.usage.prompt_tokens, "tokens": visit.usage.completion_tokens}
        if visit.fault:
            facts["reason"] = visit.fault
        level = self._log.debug if route in _OPEN_ROUTES else self._log.info
        level("http.answered", **facts)
