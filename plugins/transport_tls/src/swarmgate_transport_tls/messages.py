"""What the gateway and the forwarding child say to one another over the child's pipes."""

from __future__ import annotations

from swarmgate.api import Frame, NodeId


class Configure(Frame, frozen=True):
    """Said first and once: who this node is.  *key* and *sealing* are secrets; *revoked* no longer count."""

    key: bytes
    certificate: bytes
    authority: bytes
    sealing: bytes
    timeout_seconds: float
    revoked: tuple[NodeId, ...] = ()


class Revoke(Frame, frozen=True):
    """Close what *peer* has open, and refuse it from now on."""

    peer: NodeId


class Listen(Frame, frozen=True):
    """Listen for other members; answered by :class:`Done` with the port.

    With *any_port* another port will do if *port* is taken.  With *again* it was listened on before, so that failing
    is no answer: it is tried until it succeeds.
    """

    id: int
    host: str
    port: int
    any_port: bool = False
    again: bool = False


class Expose(Frame, frozen=True):
    """Carry whoever asks for *service* to *host* and *port*; answered by :class:`Done`."""

    id: int
    service: str
    host: str
    port: int


class Conceal(Frame, frozen=True):
    """Expose *service* no longer, and close its tunnels; answered by :class:`Done`."""

    id: int
    service: str


class Reach(Frame, frozen=True):
    """Hold a path open to a peer's service; answered by :class:`Done` with the local port once it stands.

    A *local_port* was given out before: it is listened on again, and the peer is tried until it answers.
    """

    id: int
    peer: NodeId
    host: str
    port: int
    service: str
    local_port: int = 0


class Leave(Frame, frozen=True):
    """Give the path up that :class:`Reach` *id* asked for."""

    id: int


ToChild = Configure | Revoke | Listen | Expose | Conceal | Reach | Leave


class Done(Frame, frozen=True):
    """What became of what was asked under *id*; *reason* is empty if it succeeded."""

    id: int
    host: str = ""
    port: int = 0
    reason: str = ""


class Measured(Frame, frozen=True):
    """How the path *id* does: its round trip, or, if it does not stand, why."""

    id: int
    rtt_seconds: float | None = None
    reason: str = ""


class TurnedAway(Frame, frozen=True):
    """Somebody was not let in, and *more* others since the last time this was said."""

    address: str
    reason: str
    more: int = 0


FromChild = Done | Measured | TurnedAway
