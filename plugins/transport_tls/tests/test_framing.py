from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from swarmgate.api import WireError
from swarmgate_transport_tls.child.framing import END, HEAD, LARGEST, Unframer, put_head

PIECES = st.lists(st.binary(min_size=1, max_size=300))


def framed(piece: bytes) -> bytes:
    buffer = bytearray(HEAD) + piece
    put_head(memoryview(buffer), len(piece))
    return bytes(buffer)


def feed(unframer: Unframer, data: bytes) -> bytes:
    return b"".join(unframer.feed(memoryview(data)))


@given(PIECES, st.data())
def test_pieces_come_back_however_they_are_cut(pieces: list[bytes], data: st.DataObject) -> None:
    """The data is the same whatever the network made of it, and the end is the end."""
    stream = b"".join(map(framed, pieces)) + END
    unframer, back = Unframer(), b""
    while stream:
        assert not unframer.ended
        count = data.draw(st.integers(1, len(stream)))
        back += feed(unframer, stream[:count])
        stream = stream[count:]
    assert unframer.ended
    assert back == b"".join(pieces)


def test_nothing_may_follow_the_end() -> None:
    """A direction that goes on after its end cannot be trusted."""
    with pytest.raises(WireError, match="follows the end"):
        feed(Unframer(), END + b"x")
    unframer = Unframer()
    feed(unframer, END)
    with pytest.raises(WireError, match="follows the end"):
        feed(unframer, b"x")


def test_a_piece_has_a_limit() -> None:
    """The largest passes, one more does not."""
    assert feed(Unframer(), LARGEST.to_bytes(HEAD, "big")) == b""
    with pytest.raises(WireError, match=f"expected no more than {LARGEST}"):
        feed(Unframer(), (LARGEST + 1).to_bytes(HEAD, "big"))


def test_data_is_not_copied() -> None:
    """What comes out are views of what went in."""
    data = bytearray(framed(b"abc"))
    (piece,) = Unframer().feed(memoryview(data))
    data[-1:] = b"d"
    assert piece == b"abd"
