"""The queue in front of the slots: who may go in, who waits, and who is sent away.

:class:`Line` decides; it has no clock and no loop.  :class:`Admission` does the waiting.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio

from swarmgate.errors import QueueFull, Unavailable
from swarmgate.fairness import DeficitRoundRobin

_SHORTEST, _LONGEST = 1.0, 300.0
_GUESS = 2.0
_WEIGHT = 0.2


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks, and for how long they wait: *seconds* None is as long as it takes.

    *key* tells one who pays from another; it is never the secret itself.
    """

    key: str = ""
    seconds: float | None = None


#: Somebody of whom nothing is known.
ANYBODY = Asker()


@dataclass(eq=False, slots=True)
class Ticket:
    """One request's place in the line of its *model*.

    *tokens* is how much work it is, at a guess; *priority* how urgent among those of the same asker (more is sooner).
    """

    model: str
    asker: Asker = ANYBODY
    priority: int = 0
    tokens: int = 0
    inside: bool = False

    @property
    def key(self) -> str:
        """Return who asks."""
        return self.asker.key


@dataclass(slots=True)
class _Lane:
    """What the line knows of one model; *service_seconds* is how long an answer takes, averaged.

    *leader* is who goes in next, None where that has to be found out again.
    """

    waiting: list[Ticket] = field(default_factory=list[Ticket])
    leader: Ticket | None = None
    order: DeficitRoundRobin = field(default_factory=DeficitRoundRobin)
    inside: int = 0
    service_seconds: float = 0.0


class Line:
    """Knows who waits and who is inside, and decides who is next.  No clock, no loop.

    Every model has a lane of its own, so that a flood on one does not keep the others out; in a lane those
    who ask are served in turn, by the tokens they ask for.  At most *limit* wait in a lane.
    """

    def __init__(self, *, limit: int) -> None:
        self._limit = limit
        self._lanes: defaultdict[str, _Lane] = defaultdict(_Lane)

    def __repr__(self) -> str:
        return f"<Line {sum(len(lane.waiting) for lane in self._lanes.values())} waiting>"

    def arrive(self, ticket: Ticket, capacity: int) -> None:
        """Take *ticket* into its lane.

        Raises:
            QueueFull: it cannot go straight in, and as many wait as may.

        """
        lane = self._lanes[ticket.model]
        straight = not lane.waiting and lane.inside < capacity
        if not straight and len(lane.waiting) >= self._limit:
            count = len(lane.waiting)
            wait = self.retry_after(ticket.model, capacity)
            raise QueueFull(
                f"{count} requests for {ticket.model!r} wait already, and no more may; try again in {wait:.0f} s",
                retry_after=wait,
            )
        lane.waiting.append(ticket)
        lane.leader = None

    def leader(self, model: str) -> Ticket | None:
        """Return who goes in next, if anybody waits."""
        lane = self._lanes[model]
        if lane.leader is None and lane.waiting:
            lane.leader = lane.order.choose(lane.waiting)
        return lane.leader

    def may_enter(self, ticket: Ticket, capacity: int) -> bool:
        """Return whether it is the turn of *ticket*, and there is room."""
        return self._lanes[ticket.model].inside < capacity and self.leader(ticket.model) is ticket

    def enter(self, ticket: Ticket) -> None:
        """Move *ticket*, the leader, from the waiting to those inside."""
        lane = self._lanes[ticket.model]
        lane.order.serve(ticket, lane.waiting)
        lane.waiting.remove(ticket)
        lane.leader = None
        lane.inside += 1
        ticket.inside = True

    def leave(self, ticket: Ticket, *, seconds: float | None = None) -> None:
        """Forget *ticket*, inside or waiting; *seconds* is how long it was inside, if it was."""
        lane = self._lanes[ticket.model]
        if not ticket.inside:
            lane.waiting.remove(ticket)
            lane.leader = None
        else:
            ticket.inside = False
            lane.inside -= 1
        if seconds is not None:
            lane.service_seconds += (seconds - lane.service_seconds) * (_WEIGHT if lane.service_seconds else 1.0)

    def waiting(self, model: str) -> int:
        """Return how many wait for *model*."""
        return len(self._lanes[model].waiting) if model in self._lanes else 0

    def inside(self, model: str) -> int:
        """Return how many are inside for *model*."""
        return self._lanes[model].inside if model in self._lanes else 0

    def place(self, ticket: Ticket) -> int:
        """Return the place of *ticket* among those who wait, 1 for who came first of them; 0 if it does not wait.

        Who asks for much may yet be passed: whose turn it is, is decided when there is one.
        """
        waiting = self._lanes[ticket.model].waiting if ticket.model in self._lanes else []
        return waiting.index(ticket) + 1 if ticket in waiting else 0

    def retry_after(self, model: str, capacity: int) -> float:
        """Guess in whole seconds when a slot will be free for one who comes now."""
        lane = self._lanes[model]
        rounds = (len(lane.waiting) + 1) / max(capacity, 1)
        return float(math.ceil(min(max(rounds * (lane.service_seconds or _GUESS), _SHORTEST), _LONGEST)))


class Admission:
    """Lets requests in as slots become free.

    At most *queue_limit* wait for each model, and none longer than *queue_seconds*, or than who asks would wait.  What
    changes without a word, such as a model that has become ready, is looked at every
    *poll_seconds*.
    """

    def __init__(
        self,
        *,
        queue_limit: int = 256,
        queue_seconds: float = 60.0,
        poll_seconds: float = 0.05,
    ) -> None:
        self.queue_seconds = queue_seconds
        self.poll_seconds = poll_seconds
        self._line = Line(limit=queue_limit)
        self._bells: dict[Ticket, anyio.Event] = {}

    def __repr__(self) -> str:
        return f"<Admission {len(self._bells)} waiting>"

    def waiting(self, model: str) -> int:
        """Return how many wait for *model*."""
        return self._line.waiting(model)

    def running(self, model: str) -> int:
        """Return how many are inside for *model*."""
        return self._line.inside(model)

    def place(self, ticket: Ticket) -> int:
        """Return the place of *ticket* among those who wait, 0 if it does not."""
        return self._line.place(ticket)

    @asynccontextmanager
    async def admit(
        self, ticket: Ticket, capacity: Callable[[], int], *, why: Callable[[], Unavailable | None]
    ) -> AsyncGenerator[float]:
        """Hold a slot for *ticket*; yield the seconds it waited.

        *capacity* is how many may be inside at this moment; what it raises ends the waiting.
        *why* may know better than "too long" what to raise for one who waited too long.

        Raises:
            QueueFull: too many wait already.
            Unavailable: no slot became free in time.

        """
        arrived = anyio.current_time()
        room = capacity()
        self._line.arrive(ticket, room)
        entered = None
        try:
            if self._line.may_enter(ticket, room):
                entered = arrived
            else:
                await self._wait(ticket, capacity, why)
                entered = anyio.current_time()
            self._line.enter(ticket)
            self._ring(ticket.model)  # there may be room for the next as well
            yield entered - arrived
        finally:
            self._line.leave(ticket, seconds=None if entered is None else anyio.current_time() - entered)
            self._ring(ticket.model)

    async def _wait(self, ticket: Ticket, capacity: Callable[[], int], why: Callable[[], Unavailable | None]) -> None:
        seconds = min(self.queue_seconds, math.inf if ticket.asker.seconds is None else ticket.asker.seconds)
        with anyio.move_on_after(seconds):
            while True:
                leads = self._line.leader(ticket.model) is ticket
                bell = self._bells[ticket] = anyio.Event()
                try:
                    with anyio.move_on_after(self.poll_seconds if leads else math.inf):
                        await bell.wait()
                finally:
                    del self._bells[ticket]
                if self._line.may_enter(ticket, capacity()):
                    return
        retry_after = self._line.retry_after(ticket.model, capacity())
        raise why() or Unavailable(
            f"no slot for {ticket.model!r} became free in {seconds:g} s", retry_after=retry_after
        )

    def _ring(self, model: str) -> None:
        """Let whoever is next look whether it is their turn."""
        leader = self._line.leader(model)
        if leader is not None and leader in self._bells:
            self._bells[leader].set()
