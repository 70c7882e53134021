"""Remembers what became of the latest requests, so that it can be asked for.  Pure; nothing of prompts or answers."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import datetime

from swarmgate.chat import CANARY
from swarmgate.decisions import Account
from swarmgate.http.visit import Visit

#: Decisions kept of one request: there may be 128 answers to it, each with 32.
_DECISIONS = 64
_LONGEST_REASON = 500
_FAILED = 400


@dataclass(frozen=True, slots=True, eq=False)
class _Entry:
    """A request that runs; *began* is by the same clock as every *now*."""

    number: int
    visit: Visit
    path: str
    at: datetime
    began: float


class Records:
    """Keeps the last *kept* requests that are over, and those that run; with 0 neither."""

    def __init__(self, kept: int) -> None:
        self.kept = kept
        self._running: dict[Visit, _Entry] = {}
        self._over: deque[tuple[int, Account]] = deque(maxlen=kept)
        self._entered = 0

    def __repr__(self) -> str:
        return f"<Records of {len(self._running)} running, {len(self._over)} over>"

    def enter(self, visit: Visit, path: str, *, at: datetime, now: float) -> None:
        """Begin to follow *visit*, which asks for *path*."""
        if self.kept:
            self._entered += 1
            self._running[visit] = _Entry(self._entered, visit, path, at, now)

    def leave(self, visit: Visit, *, status: int, now: float) -> None:
        """Keep what became of *visit*, if it was followed.

        Canaries that did well are not: one a minute from every gateway would soon be all that is remembered.
        """
        entry = self._running.pop(visit, None)
        if entry is not None and not (visit.id == CANARY and status < _FAILED):
            self._over.append((entry.number, _account(entry, status=status, now=now)))

    def find(self, request_id: str, *, now: float) -> Account | None:
        """Return what became of the request of that id; of several that clients called so, the latest."""
        for entry in reversed(self._running.values()):
            if entry.visit.id == request_id:
                return _account(entry, status=0, now=now)
        found = (each for each in self._over if each[1].id == request_id)
        return max(found, key=lambda each: each[0], default=(0, None))[1]

    def lately(self, over: int, *, now: float) -> tuple[Account, ...]:
        """Return all that run and the last *over* that do not any more, the newest first."""
        ended = sorted(self._over, key=lambda each: each[0])[max(len(self._over) - over, 0) :]
        running = [(entry.number, _account(entry, status=0, now=now)) for entry in self._running.values()]
        return tuple(account for _, account in sorted([*ended, *running], key=lambda each: each[0], reverse=True))

    def latest(self, limit: int, *, now: float) -> tuple[Account, ...]:
        """Return the *limit* requests that came last, the newest first."""
        running = [(entry.number, entry) for entry in self._running.values()]
        newest = sorted([*running, *self._over], key=lambda each: each[0], reverse=True)[:limit]
        return tuple(_account(it, status=0, now=now) if isinstance(it, _Entry) else it for _, it in newest)


def _account(entry: _Entry, *, status: int, now: float) -> Account:
    visit = entry.visit
    usage = visit.so_far() if visit.so_far is not None else visit.usage
    decisions = [(number, decision) for number, route in enumerate(visit.routes) for decision in route.decisions]
    return Account(
        id=visit.id,
        path=entry.path,
        at=entry.at,
        status=status,
        seconds=now - entry.began,
        model=visit.model,
        worker=visit.worker,
        attempts=visit.attempts,
        resumed=visit.resumed,
        queue_seconds=visit.queue_seconds,
        reason=visit.failure[:_LONGEST_REASON],
        fault=visit.fault,
        usage=usage,
        writing_seconds=None if visit.first_at is None else now - visit.first_at,
        queue_place=visit.queue_place,
        decisions=tuple(decisions[-_DECISIONS:]),
        left_out=max(len(decisions) - _DECISIONS, 0),
    )
