"""What the gateway logged lately, and what it logs from now on, for whoever looks after it."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from typing import Any

from litestar import Request, route
from litestar.handlers import HTTPRouteHandler
from litestar.response.base import ASGIResponse
from litestar.types import ASGIApp

from swarmgate.errors import RequestError
from swarmgate.http.door import Door
from swarmgate.http.lasting import LastingStream
from swarmgate.http.operators import admit_operator
from swarmgate.http.routes import READ
from swarmgate.http.wire.logs import logs_json, sent_event
from swarmgate.journal import LEVELS, Event, younger

_ID = re.compile(r"(?:([0-9a-f]{1,32})-)?([0-9]{1,18})", re.ASCII)
_MOST_SECONDS, _MOST_EVENTS = 999_999_999, 100_000
_YES, _NO = frozenset({"true", "1"}), frozenset({"", "false", "0"})
#: What `level` means where nobody says.
_ALL = LEVELS[0]


def logs_route(door: Door) -> HTTPRouteHandler:
    """Return the handler of ``/v1/logs``."""

    @route("/v1/logs", http_method=READ)
    async def logs(request: Request[Any, Any, Any]) -> ASGIApp:
        admit_operator(door, request, to="read its log")
        query, journal = request.query_params, door.journal
        level = _level(query.get("level", _ALL))
        number = _number(query.get("since", "0"), journal.run)
        follow = _follow(query.get("follow", ""))
        found = journal.after(number)
        if seconds := query.get("seconds"):
            span = timedelta(seconds=_whole("seconds", seconds, 0, _MOST_SECONDS))
            found = younger(found, span, now=datetime.now(tz=UTC))
        found = [event for event in found if event.reaches(level)]
        if limit := query.get("limit"):
            found = found[-_whole("limit", limit, 1, _MOST_EVENTS) :]
        if follow and request.method == "GET":
            return LastingStream(door, _followed(door, found, level))
        body = logs_json(found, journal.run, journal.kept, door.secrets())
        return ASGIResponse(body=body, media_type="application/json")

    return logs


async def _followed(door: Door, found: list[Event], level: str) -> AsyncGenerator[bytes]:
    """Yield what was *found*, and then whatever is logged that reaches *level*, several in one piece."""
    journal, secrets = door.journal, door.secrets()
    newest = journal.newest
    while True:
        if found:
            yield b"".join(sent_event(event, journal.run, secrets) for event in found)
        await journal.beyond(newest)
        fresh = journal.after(newest)
        newest = fresh[-1].number if fresh else journal.newest
        found = [event for event in fresh if event.reaches(level)]


def _level(text: str) -> str:
    if text not in LEVELS:
        raise RequestError(f"level: expected one of {', '.join(LEVELS)}, found {text[:20]!r}", param="level")
    return text


def _number(text: str, run: str) -> int:
    """Return the number that the id *text* means: of another run of the gateway none of this run's."""
    if not (found := _ID.fullmatch(text)):
        raise RequestError(f"since: expected an event's id or number, found {text[:40]!r}", param="since")
    return int(found[2]) if found[1] in (None, run) else 0


def _whole(name: str, text: str, least: int, most: int) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= len(str(most)) and least <= int(text) <= most):
        raise RequestError(f"{name}: expected a number from {least} to {most}, found {text[:20]!r}", param=name)
    return int(text)


def _follow(text: str) -> bool:
    if text not in _YES | _NO:
        raise RequestError(f"follow: expected true or false, found {text[:20]!r}", param="follow")
    return text in _YES
