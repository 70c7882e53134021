from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from swarmgate.api import WireError
from swarmgate_transport_libp2p.child.mended.frames import (
    ACK,
    DATA,
    FIN,
    GO_AWAY,
    PING,
    RST,
    SYN,
    WINDOW,
    FrameSplitter,
    header,
)

FLAGS = st.sampled_from([0, SYN, ACK, FIN, RST, SYN | FIN, ACK | FIN])
STREAMS = st.integers(0, 2**32 - 1)
FRAMES = st.one_of(
    st.tuples(st.just(DATA), FLAGS, STREAMS, st.binary(max_size=300)),
    st.tuples(st.sampled_from([WINDOW, PING, GO_AWAY]), FLAGS, STREAMS, st.integers(0, 2**32 - 1)),
)


def _wire(kind: int, flags: int, stream: int, rest: bytes | int) -> bytes:
    if isinstance(rest, bytes):
        return header(kind, flags, stream, len(rest)) + rest
    return header(kind, flags, stream, rest)


@given(st.lists(FRAMES, max_size=10), st.data())
def test_frames_come_out_as_they_went_in(frames: list[tuple[int, int, int, bytes | int]], data: st.DataObject) -> None:
    """However the bytes are cut, each frame's flags, stream, value and body come out, the pieces of a body in order."""
    wire = b"".join(_wire(*frame) for frame in frames)
    splitter = FrameSplitter()
    seen: list[tuple[int, int, int, bytes | int]] = []
    whole = True
    at = 0
    while at < len(wire):
        size = data.draw(st.integers(1, len(wire) - at))
        for piece in splitter.feed(wire[at : at + size]):
            if piece.kind != DATA:
                seen.append((piece.kind, piece.flags, piece.stream, piece.value))
            elif whole:
                seen.append((DATA, piece.flags, piece.stream, bytes(piece.body)))
            else:
                _, flags, stream, body = seen.pop()
                assert isinstance(body, bytes)
                seen.append((DATA, flags | piece.flags, stream, body + bytes(piece.body)))
            if piece.kind == DATA:
                body = seen[-1][3]
                expected = frames[len(seen) - 1][3]
                whole = body == expected
        at += size
    assert seen == frames


def test_a_bodys_flags_hold_where_they_belong() -> None:
    """Opening comes with the first piece of a body, the end with the last."""
    splitter = FrameSplitter()
    wire = header(DATA, SYN | FIN, 3, 4) + b"abcd"
    assert [(f.flags, bytes(f.body)) for f in splitter.feed(wire[:14])] == [(SYN, b"ab")]
    assert [(f.flags, bytes(f.body)) for f in splitter.feed(wire[14:])] == [(FIN, b"cd")]


@pytest.mark.parametrize("wire", [b"\x01" + bytes(11), b"\x00\x04" + bytes(10), b"HTTP/1.1 400"])
def test_what_is_not_yamux_is_refused(wire: bytes) -> None:
    """Another version, or a type that there is not, is an error at its header."""
    with pytest.raises(WireError, match="yamux: expected version 0"):
        FrameSplitter().feed(wire)


@given(st.binary(max_size=400))
def test_any_bytes_are_frames_or_an_error(noise: bytes) -> None:
    """Random bytes raise nothing but WireError, and no body is longer than what came."""
    try:
        frames = FrameSplitter().feed(noise)
    except WireError:
        return
    assert sum(len(frame.body) for frame in frames) <= len(noise)
