from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from swarmgate.api import Frame, WireError, encode_frame
from swarmgate_backend_llamacpp.rpc.hello import HELLO
from swarmgate_backend_llamacpp.rpc.lease import (
    BORROWER,
    FRAME_LIMIT,
    LENDER,
    LONGEST_NAME,
    Ask,
    Device,
    Facts,
    Granted,
    Ping,
    Pong,
    Refused,
    borrowers_words,
    lenders_words,
    short,
)

texts = st.text(max_size=30)
facts = st.builds(
    Facts,
    devices=st.lists(st.builds(Device, name=texts, memory_free=st.integers(0, 2**63)), max_size=3).map(tuple),
    rpc_version=texts,
    cores=st.integers(0, 1000),
    leased_by=texts,
    waiting=texts,
)
from_lender = st.one_of(facts, st.builds(Granted, facts), st.builds(Refused, texts, texts), st.just(Pong()))
to_lender = st.one_of(st.builds(Ask, st.sampled_from(["probe", "lease"]), texts, texts), st.just(Ping()))


@given(st.lists(to_lender, max_size=5), st.lists(from_lender, max_size=5), st.integers(1, 60))
def test_what_is_said_is_understood(asked: list[Frame], said: list[Frame], step: int) -> None:
    """Both sides read each other's frames, however the bytes are cut."""
    for greeting, reader, frames in ((BORROWER, borrowers_words(), asked), (LENDER, lenders_words(), said)):
        data = greeting + b"".join(map(encode_frame, frames))
        heard = [frame for start in range(0, len(data), step) for frame in reader.feed(data[start : start + step])]
        assert heard == frames


@given(st.binary(min_size=1, max_size=300))
def test_garbage_is_an_error_of_ours(data: bytes) -> None:
    """Whatever a stranger says, a reader waits or raises a WireError."""
    for reader in (borrowers_words(), lenders_words()):
        with suppress(WireError):
            assert reader.feed(data) == []


@given(st.binary(max_size=300))
def test_garbage_after_a_greeting_is_an_error_of_ours(data: bytes) -> None:
    """A good beginning excuses nothing."""
    reader = borrowers_words()
    try:
        frames = reader.feed(BORROWER + data)
    except WireError:
        return
    assert all(isinstance(frame, Ask | Ping) for frame in frames)


def test_nobody_is_taken_for_the_other_side() -> None:
    """No greeting begins like llama.cpp's HELLO, an echo is no lender, and a port for HTTP is named as one."""
    assert HELLO not in (BORROWER[0], LENDER[0])
    with pytest.raises(WireError, match="expected b'swarmgate lender 1"):
        lenders_words().feed(BORROWER)
    with pytest.raises(WireError, match="it speaks HTTP; a worker listens at another port"):
        lenders_words().feed(b"HTTP/1.1 400 Bad Request\r\n")


def test_another_version_is_named() -> None:
    """Who speaks a later version of this protocol is quoted in the error."""
    with pytest.raises(WireError, match="found b'swarmgate borrower 2"):
        borrowers_words().feed(b"swarmgate borrower 2\n")


def test_frames_are_limited() -> None:
    """A frame that announces more than any honest one is refused before it is read."""
    with pytest.raises(WireError, match=f"expected no more than {FRAME_LIMIT}"):
        borrowers_words().feed(BORROWER + (FRAME_LIMIT + 1).to_bytes(4, "big"))


@given(st.text())
def test_names_fit_a_message(name: str) -> None:
    """A holder's name is on one line, printable and not too long."""
    shown = short(name)
    assert len(shown) <= LONGEST_NAME
    assert shown.isprintable()
