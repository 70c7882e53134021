"""Remembers for a while who offered something and does so no more, so that people learn why.  No clock, no loop."""

from __future__ import annotations

from collections.abc import Container

from msgspec.structs import replace

from swarmgate.nouns import NodeId, Service
from swarmgate.roster import Member

Key = tuple[NodeId, Service, str]
#: For how long, in seconds, and how many.
_SECONDS, _MOST = 600.0, 64


class Departed:
    """Those who are gone, by the key of their offer; the latest, and none for longer than ten minutes."""

    def __init__(self) -> None:
        self._gone: dict[Key, tuple[Member, float]] = {}

    def __repr__(self) -> str:
        return f"<Departed {len(self._gone)}>"

    def add(self, member: Member, now: float) -> None:
        """Take note that the offer of *member* stands no more, at the time *now*."""
        self._gone.pop(member.offer.key, None)
        while len(self._gone) >= _MOST:
            del self._gone[next(iter(self._gone))]
        since = f"; before that: {member.reason}" if member.reason else ""
        reason = f"is offered no more: it was stopped, or has not renewed its offer{since}"
        self._gone[member.offer.key] = (
            replace(member, standing="gone", reason=reason, endpoint=None, address="", way=None, retry_seconds=None),
            now,
        )

    def members(self, now: float, *, without: Container[Key] = ()) -> tuple[Member, ...]:
        """Return who is gone, sorted by key, less those *without*, who are back."""
        self._gone = {
            key: (member, left)
            for key, (member, left) in self._gone.items()
            if now - left < _SECONDS and key not in without
        }
        return tuple(
            member if member.seen_seconds is None else replace(member, seen_seconds=member.seen_seconds + now - left)
            for _, (member, left) in sorted(self._gone.items())
        )
