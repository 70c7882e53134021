"""``GET /v1/logs``: the latest log events of the gateway."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from msgspec import Struct

from swarmgate.http.wire.heading import encode
from swarmgate.journal import Event

#: What every event has; all else is among its facts.
_OWN = ("timestamp", "level", "logger", "event")
#: What stands in the place of a key.
_HIDDEN = b"***"
#: What is shorter is no key, but would hide half of the words.
_SHORTEST_SECRET = 8


class LogEvent(Struct, kw_only=True):
    """One event: *id* can be given as ``since``, *at* is when (UTC, ISO 8601), *facts* is what it tells of."""

    id: str
    at: str
    level: str
    logger: str
    event: str
    facts: dict[str, Any]


class LogList(Struct, kw_only=True):
    """The latest log events, the oldest first; *kept* is how many the gateway remembers."""

    object: Literal["list"] = "list"
    kept: int
    data: list[LogEvent]


def log_event(event: Event, run: str) -> LogEvent:
    """Return *event* of that *run* as clients read it."""
    facts = event.facts
    at, level, logger, name = (str(facts.get(own, "")) for own in _OWN)
    rest = {key: value for key, value in facts.items() if key not in _OWN}
    return LogEvent(id=f"{run}-{event.number}", at=at, level=level, logger=logger, event=name, facts=rest)


def logs_json(events: Iterable[Event], run: str, kept: int, secrets: Iterable[str] = ()) -> bytes:
    """Return *events* as JSON, without the *secrets*."""
    return without(encode(LogList(kept=kept, data=[log_event(event, run) for event in events])), secrets)


def sent_event(event: Event, run: str, secrets: Iterable[str] = ()) -> bytes:
    """Return *event* as a server-sent event, without the *secrets*."""
    return b"data: " + without(encode(log_event(event, run)), secrets) + b"\n\n"


def without(document: bytes, secrets: Iterable[str]) -> bytes:
    """Return *document* without those *secrets* that are long enough to be some: no event should have them anyway."""
    for secret in secrets:
        if len(secret) >= _SHORTEST_SECRET:
            document = document.replace(encode(secret)[1:-1], _HIDDEN)
    return document
