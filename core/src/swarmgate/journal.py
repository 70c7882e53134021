"""Keeps the latest log events in memory, so that ``gateway logs`` can be told them.

What is kept is what was logged: one dictionary of plain values for each event, no objects that would keep others alive.
"""

from __future__ import annotations

import secrets
import threading
from collections import deque
from collections.abc import MutableMapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import anyio
import msgspec
import structlog

#: How severe events are, by their names.
LEVELS = ("debug", "info", "warning", "error", "critical")
_RANKS = {name: rank for rank, name in enumerate(LEVELS)}
#: Most characters of one fact: a traceback is long, and a thousand of them are a thousand times as long.
_LONGEST = 8000
_MOST_FACTS = 64
#: How soon a follower sees what another thread than its own logged.
_ELSEWHERE_SECONDS = 0.5
_PLAIN = frozenset({int, float, bool, type(None)})
#: What logging adds for its own use.
_INNER = frozenset({"_record", "_from_structlog", "exc_info", "stack_info"})


class Event(NamedTuple):
    """One log event: its *number* counts up from 1 in each run of the gateway."""

    number: int
    facts: dict[str, Any]

    @property
    def level(self) -> str:
        """Return how severe it is."""
        return str(self.facts.get("level", "info"))

    def reaches(self, level: str) -> bool:
        """Return whether it is at least as severe as *level*."""
        return _RANKS.get(self.level, len(LEVELS)) >= _RANKS[level]


class Journal:
    """Keeps the last *kept* log events; *run* tells this run of the gateway from others.

    It is a processor of structlog that changes nothing, so that whatever is logged passes it.
    """

    def __init__(self, kept: int) -> None:
        self.kept = kept
        self.run = secrets.token_hex(4)
        self._events: deque[Event] = deque(maxlen=kept)
        self._newest = 0
        self._lock = threading.Lock()
        self._awaited: tuple[int, anyio.Event] | None = None

    def __repr__(self) -> str:
        return f"<Journal of {len(self._events)} events, the newest {self._newest}>"

    def __call__(self, logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        """Keep *event*, and pass it on as it is."""
        if self.kept:
            facts = _plain(logger, method, event)
            with self._lock:  # threads log too
                self._newest += 1
                self._events.append(Event(self._newest, facts))
            awaited = self._awaited
            if awaited is not None and awaited[0] == threading.get_ident():
                awaited[1].set()
        return event

    @property
    def newest(self) -> int:
        """Return the number of the newest event, 0 if there was none."""
        return self._newest

    def after(self, number: int) -> list[Event]:
        """Return what is kept of the events after *number*, the oldest first."""
        with self._lock:
            return [event for event in self._events if event.number > number]

    async def beyond(self, number: int) -> None:
        """Wait until there is an event after *number*."""
        while self._newest <= number:
            thread = threading.get_ident()
            if self._awaited is None or self._awaited[0] != thread or self._awaited[1].is_set():
                self._awaited = thread, anyio.Event()
            with anyio.move_on_after(_ELSEWHERE_SECONDS):  # other threads cannot set an event of this loop
                await self._awaited[1].wait()


def younger(events: list[Event], than: timedelta, *, now: datetime) -> list[Event]:
    """Return those of *events* that are younger *than* that at *now*."""
    return [event for event in events if now - datetime.fromisoformat(event.facts["timestamp"]) <= than]


def _plain(logger: Any, method: str, event: MutableMapping[str, Any]) -> dict[str, Any]:
    """Return *event* as values that can be kept: tracebacks as text, since their frames would keep prompts alive."""
    if event.get("exc_info"):
        event = structlog.processors.format_exc_info(logger, method, dict(event))
    facts = {str(key): _value(value) for key, value in event.items() if key not in _INNER}
    return dict(list(facts.items())[:_MOST_FACTS]) if len(facts) > _MOST_FACTS else facts


def _value(value: Any) -> Any:
    if type(value) in _PLAIN:
        return value
    if not isinstance(value, str):
        try:
            plain = msgspec.to_builtins(value, enc_hook=repr)
            if len(msgspec.json.encode(plain)) <= _LONGEST:
                return plain
        except (TypeError, ValueError):
            pass  # such as keys that are no text
        value = repr(value)
    text = value if value.isascii() else value.encode(errors="replace").decode()
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
