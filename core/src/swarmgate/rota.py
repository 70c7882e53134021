"""Whom to hold a path to, where more offer something than paths to them are worth holding.  Pure; clocks are arguments.

A path that is held costs both ends pings, knocks and looks, and tells at once when the other end dies.  Held by each
to each, that is work which grows with the square of the swarm.  So up to some number all are held; of more, each node
holds as many as that, which it draws by lot, and besides whomever it has use for.  The lots go round: after a while one
makes room for the next, so that nobody is believed in for ever.
"""

from __future__ import annotations

import hashlib
import math
from bisect import bisect_left
from collections.abc import Collection

from swarmgate.nouns import NodeId, Service

Key = tuple[NodeId, Service, str]
#: How long until one makes room for the next, and how long one is held after its last use, in seconds.
TURN_SECONDS, KEPT_SECONDS = 60.0, 120.0


class Rota:
    """Says whom the node *me* holds: all, up to *most* of them.  Times are in seconds on one clock of the caller's."""

    def __init__(
        self, me: NodeId, most: int, *, turn_seconds: float = TURN_SECONDS, kept_seconds: float = KEPT_SECONDS
    ) -> None:
        self._me, self._most = me, most
        self._turn, self._kept = turn_seconds, kept_seconds
        self._pointer = 0
        self._turn_at = math.inf
        self._users: dict[Key, int] = {}
        self._used_at: dict[Key, float] = {}

    def __repr__(self) -> str:
        return f"<Rota of {self._most}, {len(self._used_at)} of use>"

    def begin(self, key: Key, now: float) -> None:
        """Learn that somebody has use for *key*, from now until :meth:`end`."""
        self._users[key] = self._users.get(key, 0) + 1
        self._used_at[key] = now

    def end(self, key: Key, now: float) -> None:
        """Learn that one who had use for *key* has it no more."""
        self._users[key] -= 1
        if not self._users[key]:
            del self._users[key]
        self._used_at[key] = now

    def is_asked_for(self, key: Key) -> bool:
        """Return whether somebody has use for *key* at this moment."""
        return key in self._users

    def held(self, keys: Collection[Key], now: float) -> frozenset[Key]:
        """Return which of *keys* are to be held."""
        if len(keys) <= self._most:
            self._turn_at = math.inf
            return frozenset(keys)
        for key in [key for key in self._used_at if key not in self._users and now - self._used_at[key] >= self._kept]:
            del self._used_at[key]
        ring = sorted((self._place(key), key) for key in keys)
        first = bisect_left(ring, self._pointer, key=lambda each: each[0]) % len(ring)
        if self._turn_at == math.inf:
            self._turn_at = now + self._turn
        elif now >= self._turn_at:
            self._turn_at = now + self._turn
            self._pointer = ring[first][0] + 1
            first = (first + 1) % len(ring)
        drawn = (ring[(first + number) % len(ring)][1] for number in range(self._most))
        return frozenset(drawn) | (self._used_at.keys() & set(keys))

    def until_change(self, now: float) -> float:
        """Return in how many seconds other keys may be held, if nothing happens before; infinity if never."""
        lapses = (at + self._kept for key, at in self._used_at.items() if key not in self._users)
        return max(min((self._turn_at, *lapses)) - now, 0.0)

    def _place(self, key: Key) -> int:
        """Return where *key* stands on this node's ring: each node has an order of its own."""
        digest = hashlib.sha256("\0".join((self._me, *key)).encode()).digest()
        return int.from_bytes(digest[:8], "big")
