from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from swarmgate.errors import WireError
from swarmgate.frames import FRAME_LIMIT, Frame, FrameSplitter, encode_frame


class Word(Frame, frozen=True):
    text: str
    data: bytes = b""


class Count(Frame, frozen=True):
    number: int


FRAMES = st.one_of(
    st.builds(Word, text=st.text(), data=st.binary(max_size=300)),
    st.builds(Count, number=st.integers(-(2**63), 2**63 - 1)),
)


def split(*chunks: bytes, limit: int = FRAME_LIMIT) -> list[Frame]:
    splitter = FrameSplitter[Word | Count](Word | Count, limit=limit)
    return [frame for chunk in chunks for frame in splitter.feed(chunk)]


@given(st.lists(FRAMES, max_size=8), st.lists(st.integers(1, 40), max_size=40))
def test_any_chunking_gives_the_same_frames(frames: list[Frame], sizes: list[int]) -> None:
    """However the stream is cut, the frames are those that were sent, in order."""
    stream = b"".join(map(encode_frame, frames))
    chunks = list[bytes]()
    for size in sizes:
        chunks.append(stream[:size])
        stream = stream[size:]
    assert split(*chunks, stream) == frames


@given(st.binary(max_size=200), st.lists(FRAMES, max_size=2))
def test_garbage_is_an_error_of_ours_or_waits(garbage: bytes, before: list[Frame]) -> None:
    """Nothing but a WireError comes out, and the frames before the garbage do."""
    splitter, got = FrameSplitter[Word | Count](Word | Count), list[Frame]()
    with suppress(WireError):
        for frame in splitter.feed(b"".join(map(encode_frame, before)) + garbage):
            got.append(frame)
    assert got[: len(before)] == before


@given(st.binary(max_size=100))
def test_a_framed_body_of_garbage_is_refused(body: bytes) -> None:
    """A body that is no frame of the kinds never passes for one."""
    with suppress(WireError):
        (frame,) = split(len(body).to_bytes(4, "big") + body)
        assert isinstance(frame, (Word, Count))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\x80",
        b"\x82\xa4type\xa4Word\xa4text\x01",
        b"\x81\xa4type\xa5Other",
        b"\x82\xa4type\xa4Word\xa4text\xa1\xff",
        b"\x82\xa4type\xa4Word\xa1x" + b"\x91" * 100_000 + b"\xc0",
    ],
    ids=["empty", "untyped", "wrong type", "unknown kind", "no UTF-8", "too deep"],
)
def test_a_body_that_breaks_the_protocol_is_refused(body: bytes) -> None:
    """Each way of being wrong is an error of ours."""
    with pytest.raises(WireError, match=f"a frame of {len(body)} bytes cannot be read"):
        split(len(body).to_bytes(4, "big") + body)


def test_a_frame_beyond_the_limit_is_refused_by_its_head() -> None:
    """Its body is not waited for."""
    with pytest.raises(WireError, match="a frame announces 101 bytes, expected no more than 100"):
        split((101).to_bytes(4, "big"), limit=100)
    assert split((100).to_bytes(4, "big") + bytes(99), limit=100) == []


def test_a_reader_that_stops_half_way_loses_nothing() -> None:
    """Frames left in the splitter come with the next bytes."""
    splitter = FrameSplitter[Word | Count](Word | Count)
    stream = b"".join(encode_frame(Count(number)) for number in range(3))
    frames = splitter.feed(stream[:-1])
    assert next(frames) == Count(0)
    del frames
    assert list(splitter.feed(stream[-1:])) == [Count(1), Count(2)]
    assert repr(splitter) == "<FrameSplitter 0 bytes waiting>"


def test_what_is_fed_counts_even_if_nobody_looks() -> None:
    """Feeding alone takes the bytes in."""
    splitter, stream = FrameSplitter[Word | Count](Word | Count), encode_frame(Word("hello"))
    splitter.feed(stream[:5])
    assert list(splitter.feed(stream[5:])) == [Word("hello")]
