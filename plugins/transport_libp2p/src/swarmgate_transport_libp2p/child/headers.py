"""What is said at the beginning of a tunnel.  Bytes in, words out; no I/O here.

Format of the question: one byte for the version, one for the purpose (0: whether the service is there; 1: bytes of it
follow), one for the length, and the service's name in ASCII.  Format of the answer: one byte (0: yes; 1: no), one for
the length, and a reason in UTF-8, empty for a yes.
"""

from __future__ import annotations

from typing import NamedTuple

from swarmgate.api import WireError

PROTOCOL = "/swarmgate/tunnel/1"
VERSION = 1
#: How many bytes of a question and of an answer come first, the last of them the length of the rest.
QUESTION_BYTES, ANSWER_BYTES = 3, 2
LONGEST_SERVICE, LONGEST_REASON = 64, 255


class Question(NamedTuple):
    """Which service is wanted, and whether bytes of it follow."""

    service: str
    carries: bool


def ask(question: Question) -> bytes:
    """Return *question* as bytes."""
    name = question.service.encode("ascii")
    return bytes((VERSION, int(question.carries), len(name))) + name


def question_length(head: bytes) -> int:
    """Return how many bytes follow the *head* of a question.

    Raises:
        WireError: it is of another version, or too long.

    """
    version, purpose, size = head
    if version != VERSION:
        raise WireError(f"a tunnel of version {version}, expected {VERSION}: use the same swarmgate on all machines")
    if purpose > 1 or not 0 < size <= LONGEST_SERVICE:
        raise WireError("a tunnel's beginning cannot be read")
    return size


def read_question(head: bytes, name: bytes) -> Question:
    """Return the question whose bytes are *head* and *name*.

    Raises:
        WireError: the name is no ASCII.

    """
    try:
        return Question(name.decode("ascii"), bool(head[1]))
    except UnicodeDecodeError:
        raise WireError("a tunnel's service cannot be read") from None


def answer(reason: str = "") -> bytes:
    """Return the answer as bytes: yes, or no with a *reason*."""
    text = reason.encode()[:LONGEST_REASON]
    return bytes((1 if reason else 0, len(text))) + text


def read_answer(head: bytes, reason: bytes) -> str:
    """Return the reason of the answer whose bytes are *head* and *reason*; empty for a yes.

    Raises:
        WireError: it is neither yes nor no.

    """
    if head[0] > 1:
        raise WireError("a tunnel's answer cannot be read")
    text = reason.decode(errors="replace")
    return "".join(each if each.isprintable() else "?" for each in text) or "refused" if head[0] else ""
