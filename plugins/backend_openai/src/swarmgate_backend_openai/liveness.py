"""What the silence of a server means: when to look whether it lives, and which requests it has hung up on; pure.

A failure detector of the kind that needs two things to be sure: looks that go unanswered, and a reason to believe that
a server that lives would have answered them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

#: What came of a look: any answer at all; none in time; nobody listens there any more; nothing that says anything.
Look = Literal["answered", "silent", "refused", "unclear"]
#: So many looks in a row must go wrong.
_MISSES = 2
#: Looks that were answered, or cannot convict, come less and less often, up to this pause in seconds.
_LONGEST, _GROWTH = 10.0, 1.5
#: Nothing will come of a stream with pings after a silence of so many times as long as they come apart, and of so many
#: seconds more, for the way and a machine that has much to do.
_PINGS, _GRACE_SECONDS = 2, 5.0


@dataclass(slots=True, eq=False)
class Waiting:
    """One request under way.

    *began* is when it was sent, *since* from when on nothing has come of it; both count only while somebody *listens*:
    whoever reads slowly must not take what lies unread for silence.
    """

    began: float
    since: float
    listens: bool = True


class Liveness:
    """Watches over the requests that one server has.

    After *silence* seconds without a byte for one of them the server is looked at, None is never; times are by *clock*.
    Two unanswered looks in a row say that it hangs if it is one that answers looks while it works, which is known
    of gateways (*always* is set), and learnt of others: *proven* is with how many requests under way it once did.
    With more of them its threads may all be taken, and silence would say nothing.
    """

    def __init__(self, *, silence: float | None, clock: Callable[[], float]) -> None:
        self._silence = silence
        self._clock = clock
        #: All requests under way.
        self.waiting: set[Waiting] = set()
        self._sign_at = self._looked_at = self._told_at = -math.inf
        self._misses = self._refusals = self._vain = 0
        self.always = False
        self.proven = 0

    def __repr__(self) -> str:
        return f"<Liveness of {len(self.waiting)} requests, {self._misses} looks missed, proven with {self.proven}>"

    @property
    def suspect(self) -> bool:
        """Return whether a server that lives would have answered the last look, and this one did not."""
        return self._misses > 0 and self._convicts

    def begin(self) -> Waiting:
        """Return a request that is being sent."""
        now = self._clock()
        waiting = Waiting(began=now, since=now)
        self.waiting.add(waiting)
        return waiting

    def end(self, waiting: Waiting) -> None:
        """Forget *waiting*, however it ended."""
        self.waiting.discard(waiting)

    def listen(self, waiting: Waiting) -> None:
        """Learn that the next bytes of *waiting* are waited for from now on."""
        waiting.since, waiting.listens = self._clock(), True

    def heard(self, waiting: Waiting) -> None:
        """Learn that bytes of *waiting* have come, which nobody waits for until further notice."""
        self._sign_at, waiting.listens = self._clock(), False

    def alive(self) -> None:
        """Learn that the server has answered something else."""
        self._sign_at = self._clock()

    def due(self) -> float:
        """Return in how many seconds to look: 0 is now, infinity is never unless another request begins."""
        if self._silence is None or not self.waiting:
            return math.inf
        now = self._clock()
        if self._sign_at > self._looked_at:
            self._misses = self._refusals = 0
        silent = min((waiting.since for waiting in self.waiting if waiting.listens), default=math.inf)
        if self._convicts and self._misses:  # the next one decides
            return max(self._looked_at + self._silence - now, 0.0)
        if silent > self._looked_at and self._sign_at > self._looked_at:
            self._vain = 0  # whoever was silent then has spoken
        first = min(silent, self._unproven()) + self._silence
        pause = min(self._silence * _GROWTH**self._vain, _LONGEST)
        wanted = max(first, self._told_at + pause)
        return max(wanted - now, 0.0) if wanted < math.inf else self._silence

    def looking(self) -> None:
        """Learn that a look begins."""
        self._looked_at = self._clock()

    def looked(self, found: Look) -> tuple[Waiting, ...]:
        """Learn what came of the look, and return the requests to give up."""
        self._told_at = self._clock()
        self._vain += 1
        if found == "unclear":
            return ()
        if found == "answered":
            self._misses = self._refusals = 0
            self.proven = max(self.proven, len(self._worked_on()))
            return ()
        if self._sign_at >= self._looked_at:  # it spoke meanwhile
            self._misses = self._refusals = 0
            return ()
        self._misses += 1
        self._refusals = self._refusals + 1 if found == "refused" else 0
        if found == "refused":
            self.proven = 0  # what comes there next may be another server
        if self._misses < _MISSES or not self._convicts:
            return ()
        return self._worked_on()

    @property
    def _convicts(self) -> bool:
        """Return whether looks that go unanswered can mean nothing but that it hangs."""
        return self.always or self._refusals > 0 or len(self.waiting) <= self.proven

    def _worked_on(self) -> tuple[Waiting, ...]:
        """Return the requests that it had for a while when the last look began."""
        before = self._looked_at - (self._silence or 0.0)
        return tuple(waiting for waiting in self.waiting if waiting.began <= before)

    def _unproven(self) -> float:
        """Return when the request began by which it has more than it was ever known to answer looks with."""
        if self.always or len(self.waiting) <= self.proven:
            return math.inf
        return sorted(waiting.began for waiting in self.waiting)[self.proven]


def pinged(seconds: float | None, ping_seconds: float) -> float | None:
    """Return for how long a stream may be silent, None if for ever: *seconds*, or what its pings allow if that is less.

    A stream with pings has one after *ping_seconds* of silence, one without has 0 of them.
    """
    if ping_seconds <= 0:
        return seconds
    return min(math.inf if seconds is None else seconds, ping_seconds * _PINGS + _GRACE_SECONDS)
