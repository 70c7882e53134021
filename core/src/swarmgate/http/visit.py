"""One request's story, told by the rooms it passes through and logged when it is over."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field

from swarmgate.admission import ANYBODY, Asker
from swarmgate.chat import Usage
from swarmgate.dispatch import Route
from swarmgate.http.wire.dialect import OPENAI, Dialect

_SANE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/+=@-]{0,127}")


@dataclass(slots=True, eq=False)
class Visit:
    """What is known of a request so far.

    *id* is the client's ``X-Request-ID`` or our own; *asker* is who waits, and for how long; *dialect* is how it is
    spoken to.  *routes* has what became of each answer asked for; *status* is 0 until a head was sent; *fault* the code
    of an error, if one was told.  *so_far* returns what has been read and written of an answer, *first_at* is when its
    first piece came.
    """

    id: str
    asker: Asker = ANYBODY
    dialect: Dialect = OPENAI
    status: int = 0
    routes: list[Route] = field(default_factory=list[Route])
    usage: Usage = field(default_factory=Usage)
    fault: str = ""
    so_far: Callable[[], Usage] | None = None
    first_at: float | None = None

    @property
    def model(self) -> str:
        """Return the card's name of the model that was asked, empty if it did not come to that."""
        return self.routes[0].model if self.routes else ""

    @property
    def worker(self) -> str:
        """Return the backends that answered."""
        return ",".join(dict.fromkeys(route.worker for route in self.routes if route.worker))

    @property
    def attempts(self) -> int:
        """Return how many backends were asked, for the answer that took most."""
        return max((route.attempts for route in self.routes), default=0)

    @property
    def resumed(self) -> int:
        """Return how often a begun answer was carried on, for the answer that took most."""
        return max((route.resumed for route in self.routes), default=0)

    @property
    def reason(self) -> str:
        """Return why whoever was chosen last was chosen, for the answer that took most attempts."""
        decided = [route for route in self.routes if route.decisions]
        return max(decided, key=lambda route: route.attempts).decisions[-1].reason if decided else ""

    @property
    def failure(self) -> str:
        """Return the last failure of a backend on the way, also if it was made good."""
        return next((route.reason for route in reversed(self.routes) if route.reason), "")

    @property
    def queue_place(self) -> int:
        """Return the place among those who wait for a slot, 0 if it does not wait; of several answers the last's."""
        return max((route.place() for route in self.routes), default=0)

    @property
    def queue_seconds(self) -> float:
        """Return how long the longest wait for a slot was."""
        return max((route.queue_seconds for route in self.routes), default=0.0)


_visit: ContextVar[Visit] = ContextVar("visit")


def begin(request_id: str, asker: Asker, dialect: Dialect = OPENAI) -> Visit:
    """Begin the visit of the request this task answers; *request_id* is what the client calls it."""
    own = request_id if _SANE.fullmatch(request_id) else f"req_{secrets.token_hex(12)}"
    visit = Visit(id=own, asker=asker, dialect=dialect)
    _visit.set(visit)
    return visit


def current() -> Visit:
    """Return the visit of the request this task answers."""
    return _visit.get()
