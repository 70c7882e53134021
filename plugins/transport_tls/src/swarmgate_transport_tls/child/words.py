"""What two members say to one another inside TLS before bytes flow, and on a control connection.  No I/O here.

Layout of a word: four bytes, big endian, the length of what follows, at most :data:`LARGEST`; then a MessagePack map
whose key ``type`` names it.  A connection begins with the client's :class:`Hello`, to which :class:`Answer` is the
answer; on a control connection pings, pongs and at most one farewell follow.
"""

from __future__ import annotations

from typing import Literal

from swarmgate.api import Frame, FrameSplitter, Peer, WireError

VERSION = 1
#: No honest word is longer, in bytes.
LARGEST = 1024
HEAD = 4
SESSION_BYTES = 16
LONGEST_SERVICE = 80
#: What is said of a reason at most, in characters, each of which may take four bytes.
LONGEST_REASON = 240


class Hello(Frame, frozen=True):
    """Asks for *service*: a ``control`` connection opens a *session*, whose tunnels name it and end with it."""

    version: int
    purpose: Literal["control", "tunnel"]
    service: str
    session: bytes


class Answer(Frame, frozen=True):
    """Says whether the connection may be used, and if not, why."""

    accepted: bool
    reason: str = ""


class Ping(Frame, frozen=True):
    """Asks whether the other side is there."""

    number: int


class Pong(Frame, frozen=True):
    """Answers the ping of the same *number*."""

    number: int


class Bye(Frame, frozen=True):
    """Ends a session, and says why."""

    reason: str


ControlWord = Ping | Pong | Bye


def word_size(head: bytes) -> int:
    """Return how many bytes follow *head*.

    Raises:
        WireError: they are more than any word has.

    """
    size = int.from_bytes(head, "big")
    if size > LARGEST:
        raise WireError(f"a word announces {size} bytes, expected no more than {LARGEST}")
    return size


def hellos() -> FrameSplitter[Hello]:
    """Return what reads a hello."""
    return FrameSplitter(Hello, limit=LARGEST)


def answers() -> FrameSplitter[Answer]:
    """Return what reads the answer to a hello."""
    return FrameSplitter(Answer, limit=LARGEST)


def control_words() -> FrameSplitter[ControlWord]:
    """Return what reads a control connection."""
    return FrameSplitter(ControlWord, limit=LARGEST)


def short(reason: str) -> str:
    """Return *reason* so that it fits into a word."""
    return reason if len(reason) <= LONGEST_REASON else reason[: LONGEST_REASON - 1] + "…"


def objection(hello: Hello, peer: Peer) -> str:
    """Return what is wrong with the *hello* of *peer*, whoever is asked; empty if nothing."""
    if hello.version != VERSION:
        return f"it speaks version {hello.version} of this transport, expected {VERSION}: use the same swarmgate"
    if len(hello.service) > LONGEST_SERVICE or len(hello.session) != SESSION_BYTES:
        return "its hello breaks the protocol"
    if peer.role == "worker":
        return f"{peer.id} is a worker, which lends and may not use what others offer"
    return ""
