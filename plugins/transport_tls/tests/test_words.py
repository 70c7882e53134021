from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from swarmgate.api import Frame, Peer, WireError, encode_frame
from swarmgate.testing import a_swarm
from swarmgate_transport_tls.child.words import (
    HEAD,
    LARGEST,
    LONGEST_REASON,
    LONGEST_SERVICE,
    VERSION,
    Answer,
    Bye,
    Hello,
    Ping,
    answers,
    control_words,
    hellos,
    objection,
    short,
    word_size,
)

HELLO = Hello(version=VERSION, purpose="control", service="gateway", session=bytes(16))


def peer(role: str) -> Peer:
    (member,) = a_swarm(role)  # type: ignore[arg-type]
    return member.examine(member.certificate)


@pytest.mark.parametrize("word", [HELLO, replace(HELLO, purpose="tunnel")])
def test_a_hello_is_read_as_it_was_said(word: Hello) -> None:
    """Whole and in one piece."""
    assert list(hellos().feed(encode_frame(word))) == [word]


def test_the_longest_reason_fits_into_a_word() -> None:
    """Reasons are cut so that none is too long to be said, in any script."""
    for word in (Answer(accepted=False, reason=short("😀" * 5000)), Bye(reason=short("x" * 5000))):
        assert len(encode_frame(word)) <= LARGEST
    assert len(short("x" * 5000)) == LONGEST_REASON
    assert short("brief") == "brief"


def test_a_long_word_is_refused_before_it_is_read() -> None:
    """Its head is enough to know."""
    assert word_size(LARGEST.to_bytes(HEAD, "big")) == LARGEST
    with pytest.raises(WireError, match="a word announces"):
        word_size((LARGEST + 1).to_bytes(HEAD, "big"))


@pytest.mark.parametrize("word", [Ping(1), Answer(accepted=True)])
def test_another_word_is_no_hello(word: Frame) -> None:
    """Only a hello begins a connection."""
    with pytest.raises(WireError):
        list(hellos().feed(encode_frame(word)))


@given(st.binary(max_size=200))
def test_garbage_is_refused_as_such(data: bytes) -> None:
    """Whatever comes in place of a word raises nothing but our own error."""
    framed = len(data).to_bytes(HEAD, "big") + data
    for splitter in (hellos(), answers(), control_words()):
        try:
            words = list(splitter.feed(framed))
        except WireError:
            continue
        assert len(words) == 1


@pytest.mark.parametrize("role", ["owner", "node", "viewer"])
def test_members_may_ask(role: str) -> None:
    """Who uses what others offer is let in."""
    assert objection(HELLO, peer(role)) == ""


def test_a_worker_may_not_use_others() -> None:
    """An invite for a machine that lends opens nobody else's services."""
    assert "may not use what others offer" in objection(HELLO, peer("worker"))


@pytest.mark.parametrize(
    ("hello", "fault"),
    [
        (replace(HELLO, version=VERSION + 1), "speaks version"),
        (replace(HELLO, session=b"short"), "breaks the protocol"),
        (replace(HELLO, service="x" * (LONGEST_SERVICE + 1)), "breaks the protocol"),
    ],
)
def test_what_is_wrong_with_a_hello_is_said(hello: Hello, fault: str) -> None:
    """Another version, and what is out of bounds."""
    assert fault in objection(hello, peer("owner"))
