"""What a lender and its borrowers say to each other on a control connection.  No I/O here.

Whoever connects says :data:`BORROWER`, the lender says :data:`LENDER`; frames follow in both
directions.  The first byte is none of llama.cpp's commands, and the two greetings differ, so that
neither llama.cpp nor something that echoes is taken for the other side.  A lease stands for as long
as the connection on which it was granted.
"""

from __future__ import annotations

from typing import Any, Generic, Literal, TypeVar

from swarmgate.api import Frame, FrameSplitter, WireError, Word

from swarmgate_backend_llamacpp.rpc.hello import quote

#: The versions at their ends are this protocol's own.
BORROWER = b"swarmgate borrower 1\n"
LENDER = b"swarmgate lender 1\n"
#: No honest frame is larger (bytes).
FRAME_LIMIT = 1 << 16
#: How often a holder says that it lives.
PING_SECONDS = 1.0
#: After how much silence of the other side a lease is over.
SILENCE_SECONDS = 6.0
#: Longer names are cut: they are for people (characters).
LONGEST_NAME = 200

FrameT = TypeVar("FrameT", bound=Frame)


class Device(Word, frozen=True):
    """One device that is lent; memory in bytes, as limited by the lender."""

    name: str
    description: str = ""
    memory_free: int = 0
    memory_total: int = 0


class Ask(Frame, frozen=True):
    """Ask what there is to lend, or for the lease; *holder* is who asks, *version* its release."""

    kind: Literal["probe", "lease"]
    holder: str
    version: str = ""


class Ping(Frame, frozen=True):
    """The holder lives."""


class Facts(Frame, frozen=True):
    """What is lent, and to whom; *waiting* says why nothing can be lent just now.

    *node* is the id of the lender's node, *instance* what this one lender drew at its start: whoever reaches it twice,
    by different addresses, knows by that.
    """

    devices: tuple[Device, ...]
    rpc_version: str
    cores: int = 0
    version: str = ""
    leased_by: str = ""
    waiting: str = ""
    node: str = ""
    instance: str = ""


class Granted(Frame, frozen=True):
    """The lease is the asker's until the connection ends."""

    facts: Facts


class Refused(Frame, frozen=True):
    """There is no lease for the asker: *holder* has it, or *waiting* says why nobody can."""

    holder: str = ""
    waiting: str = ""


class Pong(Frame, frozen=True):
    """The lender lives."""


ToLender = Ask | Ping
FromLender = Facts | Granted | Refused | Pong


class Reader(Generic[FrameT]):
    """Reads one side of a control connection: the greeting, then frames of the union *kinds*."""

    def __init__(self, greeting: bytes, kinds: Any) -> None:
        self._greeting = greeting
        self._head = bytearray()
        self._greeted = False
        self._frames = FrameSplitter[FrameT](kinds, limit=FRAME_LIMIT)

    def __repr__(self) -> str:
        return f"<Reader {'greeted' if self._greeted else bytes(self._head)!r}>"

    def feed(self, data: bytes) -> list[FrameT]:
        """Take *data* in and return the frames it completes.

        Raises:
            WireError: the other side is not what was expected; the message quotes it.

        """
        if self._greeted:
            return list(self._frames.feed(data))
        self._head += data
        begun = bytes(self._head[: len(self._greeting)])
        if not self._greeting.startswith(begun):
            if self._head.startswith(b"HTTP/"):  # as a gateway, or any web server, answers what it does not understand
                raise WireError("it speaks HTTP; a worker listens at another port, by default 50052")
            raise WireError(f"expected {quote(self._greeting)}, found {quote(self._head)}")
        if len(begun) < len(self._greeting):
            return []
        self._greeted = True
        return list(self._frames.feed(bytes(self._head[len(begun) :])))


def borrowers_words() -> Reader[Ask | Ping]:
    """Return the reader for a lender's side."""
    return Reader(BORROWER, ToLender)


def lenders_words() -> Reader[Facts | Granted | Refused | Pong]:
    """Return the reader for a borrower's side."""
    return Reader(LENDER, FromLender)


def short(name: str) -> str:
    """Return *name* as it may stand in a message: on one line, and not too long."""
    return " ".join("".join(each if each.isprintable() else " " for each in name).split())[:LONGEST_NAME]
