"""What the gateway and its libp2p child say to one another, in frames over pipes."""

from __future__ import annotations

from typing import Literal

from swarmgate.api import Frame

#: What two peers say directly: the ledger's comparing of books, or a discovery's own offers.
Channel = Literal["sync", "offers"]
#: Above 64 KiB pubsub's two writers mixed up their frames; honest messages to all are 30 kB at most, in bytes.
LARGEST_SPREAD = 32_768
#: The most one peer may say to another directly, in bytes: the digest of a full book.
LARGEST_SAID = 1 << 18
LogLevel = Literal["debug", "info", "warning", "error", "critical"]


class Begin(Frame, frozen=True):
    """Who we are in the swarm, and how the host is to be; always the first.  It carries secrets: never log it.

    *listen* and *announce* are multiaddresses; announce is empty where this machine's own addresses are to be told.
    With *may_move* another port is taken if that of *listen* is not free.  *beside* is listened on at the same port
    too, or at another one, or not at all: a machine may lack that family of addresses.  With *punches*, who is reached
    through a relay is dialled at the same moment as it dials us.
    """

    key: bytes
    certificate: bytes
    authority: bytes
    rendezvous: bytes
    sealing: bytes
    revoked: tuple[str, ...]
    listen: tuple[str, ...]
    may_move: bool = False
    beside: tuple[str, ...] = ()
    announce: tuple[str, ...] = ()
    max_connections: int = 0
    relay: bool = False
    punches: bool = True
    lib_log_level: LogLevel = "critical"

    def __repr__(self) -> str:
        return "<Begin>"


class Know(Frame, frozen=True):
    """*peer* may be at *addresses*, multiaddresses: connect, and stay connected."""

    peer: str
    addresses: tuple[str, ...]


class Revoke(Frame, frozen=True):
    """*peer* is no member any more."""

    peer: str


class Expose(Frame, frozen=True):
    """Let members reach *host*:*port* by the name *service*."""

    service: str
    host: str
    port: int


class Conceal(Frame, frozen=True):
    """Let nobody reach *service* any more."""

    service: str


class Reach(Frame, frozen=True):
    """Hold a path to *service* of *peer* open; *port* is where it was before, 0 for a new one."""

    number: int
    peer: str
    service: str
    addresses: tuple[str, ...]
    port: int = 0


class Leave(Frame, frozen=True):
    """Close the path *number*."""

    number: int


class Join(Frame, frozen=True):
    """Take part in the swarm's topic."""


class Publish(Frame, frozen=True):
    """Say *data*, which is sealed, to all on the topic."""

    data: bytes


class Say(Frame, frozen=True):
    """Say *data* to *peer* alone, if it is connected."""

    peer: str
    channel: Channel
    data: bytes


class Seek(Frame, frozen=True):
    """Look for members in the DHT, and let them find us there."""


class Listening(Frame, frozen=True):
    """The host is up: others may be told *announced*; *bound* is where it really listens."""

    announced: tuple[str, ...]
    bound: tuple[str, ...]


class Noted(Frame, frozen=True):
    """*service* is exposed, or exposed no more, as was ordered."""

    service: str


class Refused(Frame, frozen=True):
    """The host cannot come up as it is asked to."""

    reason: str


class Reached(Frame, frozen=True):
    """The path *number* begins at *port* of loopback."""

    number: int
    port: int


class Unreached(Frame, frozen=True):
    """The path *number* could not be opened."""

    number: int
    reason: str


class Stands(Frame, frozen=True):
    """How the bytes of path *number* go at the moment; *reason* says why they do not, empty if they do."""

    number: int
    kind: Literal["direct", "relayed"]
    rtt_seconds: float | None = None
    reason: str = ""


class Met(Frame, frozen=True):
    """The member *peer* is connected; *address* is where it was dialled, empty if it dialled us.

    *addresses* are where it says that it can be.
    """

    peer: str
    address: str = ""
    addresses: tuple[str, ...] = ()


class Parted(Frame, frozen=True):
    """The member *peer* is connected no more."""

    peer: str


class Published(Frame, frozen=True):
    """Somebody said *data* on the topic; it was sealed by a member."""

    data: bytes


class Said(Frame, frozen=True):
    """The member *peer* said *data* to us alone."""

    peer: str
    channel: Channel
    data: bytes


class Told(Frame, frozen=True):
    """Something for the log: an event's name, or what libp2p itself said."""

    level: LogLevel
    event: str
    facts: dict[str, str] = {}


ToChild = Begin | Know | Revoke | Expose | Conceal | Reach | Leave | Join | Publish | Say | Seek
FromChild = Listening | Noted | Refused | Reached | Unreached | Stands | Met | Parted | Published | Said | Told
