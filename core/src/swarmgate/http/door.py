"""What all requests share: the dispatcher behind the door, its limits, and whether it is closing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field

import anyio

from swarmgate.dispatch import Dispatcher
from swarmgate.http.board import Board
from swarmgate.http.faults import ClosingDown
from swarmgate.http.kept import Responses
from swarmgate.http.records import Records
from swarmgate.journal import Journal
from swarmgate.metrics import Metrics
from swarmgate.nouns import Node, NodeId
from swarmgate.roster import Swarm
from swarmgate.shelf import Shelf
from swarmgate.swarm.credential import Examiner
from swarmgate.swarm.token import Invite, Token

_MEGABYTE = 1024 * 1024
_USUAL_RESPONSES = 64_000_000


async def nothing_follows() -> None:
    """Do nothing."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How the door deals with clients.

    No *api_keys* means that anybody may in.  *ping_seconds* is how long a stream may stay silent
    before a comment is sent.  *max_hops* is how many gateways a request may have come through.
    *cors_origins* are the web pages' origins that browsers let in.  *route_headers* says whether answers tell the way
    they came.
    """

    api_keys: tuple[str, ...] = ()
    cors_origins: tuple[str, ...] = ()
    max_body_bytes: int = 32 * _MEGABYTE
    ping_seconds: float = 15.0
    max_hops: int = 4
    route_headers: bool = True


@dataclass(slots=True, eq=False)
class Door:
    """The state of the front door.

    *node* is who answers, *swarm* what it sees of its swarm at the moment, *records* what became of requests, *journal*
    what was logged.  *ticket* let it into its swarm, *revoke* takes the signed entry by which a member is out of
    it; None without one.  What comes in by *member_ports* comes from members, over whatever transport, though it looks
    as if it were from this machine.
    """

    dispatcher: Dispatcher
    metrics: Metrics
    version: str
    limits: Limits = field(default_factory=Limits)
    node: Node = field(default_factory=lambda: Node(id=NodeId("unknown"), name="unknown"))
    swarm: Callable[[], Swarm] = Swarm
    records: Records = field(default_factory=lambda: Records(1000))
    journal: Journal = field(default_factory=lambda: Journal(0))
    #: What clients may come back to.
    responses: Responses = field(default_factory=lambda: Responses(_USUAL_RESPONSES))
    #: What examines the members who arrive at *member_ports*.
    examiner: Examiner | None = None
    #: Called after a node was drained or taken back in: our own offer may have to follow.
    drained: Callable[[], Awaitable[None]] = nothing_follows
    ticket: Token | Invite | None = None
    revoke: Callable[[bytes], Awaitable[NodeId]] | None = None
    member_ports: frozenset[int] = frozenset()
    #: What loads and unloads models, None where there are none of this machine's.
    shelf: Shelf | None = None
    #: Set when the gateway is going to stop: it is not ready for more.
    closing: bool = False
    #: The state of all this, for who watches it.
    board: Board = field(init=False)
    _working: set[anyio.CancelScope] = field(default_factory=set[anyio.CancelScope])
    _lasting: set[anyio.CancelScope] = field(default_factory=set[anyio.CancelScope])

    def __post_init__(self) -> None:
        self.board = Board(self._look, self.dispatcher, self.records, self.metrics, self.version)

    def _look(self) -> Swarm:
        return self.swarm()  # whatever that is by then

    def __repr__(self) -> str:
        return f"<Door {'closing' if self.closing else 'open'}, {len(self._working)} working>"

    @property
    def working(self) -> int:
        """Return how many requests are being worked on."""
        return len(self._working)

    @contextmanager
    def interruptible(self) -> Generator[None]:
        """Let :meth:`interrupt` end the body.

        Raises:
            ClosingDown: it did.

        """
        with anyio.CancelScope() as scope:
            self._working.add(scope)
            try:
                yield
            finally:
                self._working.discard(scope)
        if scope.cancelled_caught:
            raise ClosingDown("the gateway is being stopped before this answer was finished; try again")

    @contextmanager
    def lasting(self) -> Generator[None]:
        """End the body, which else would go on for ever, when the gateway is going to stop."""
        with anyio.CancelScope() as scope:
            if self.closing:
                scope.cancel()
            self._lasting.add(scope)
            try:
                yield
            finally:
                self._lasting.discard(scope)

    def close(self) -> None:
        """Be ready for no more, and end what only lasts."""
        self.closing = True
        for scope in tuple(self._lasting):
            scope.cancel()

    def secrets(self) -> tuple[str, ...]:
        """Return what nobody is told: keys, and the token."""
        return (*self.limits.api_keys, *((self.ticket.text,) if self.ticket is not None else ()))

    def interrupt(self) -> int:
        """End all work at once; return how much there was.  Each client is told why."""
        scopes = tuple(self._working)
        for scope in scopes:
            scope.cancel()
        return len(scopes)
