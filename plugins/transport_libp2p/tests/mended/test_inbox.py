from __future__ import annotations

import tracemalloc

from hypothesis import given
from hypothesis import strategies as st
from swarmgate_transport_libp2p.child.mended.inbox import Inbox

STEPS = st.lists(st.one_of(st.binary(min_size=1, max_size=9000), st.integers(1, 9000), st.none()), max_size=40)


@given(STEPS)
def test_bytes_come_out_as_they_went_in(steps: list[bytes | int | None]) -> None:
    """Whatever is put and taken in between, the bytes and their order stay, and the length is right."""
    inbox, put, taken = Inbox(), bytearray(), bytearray()
    for step in steps:
        if isinstance(step, bytes):
            inbox.put(memoryview(step))
            put += step
        else:
            piece = inbox.take(step)
            assert step is None or len(piece) <= step
            assert bool(piece) == (len(taken) < len(put))
            taken += piece
        assert len(inbox) == len(put) - len(taken)
    while piece := inbox.take(None):
        taken += piece
    assert taken == put


def test_single_bytes_cost_little() -> None:
    """A quarter of a million bytes that come one by one take less than twice their size."""
    inbox = Inbox()
    single = memoryview(b"x")
    tracemalloc.start()
    for _ in range(256 * 1024):
        inbox.put(single)
    used = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert used < 512 * 1024


def test_what_is_cleared_is_gone() -> None:
    """Clearing tells how much that was, and leaves an empty inbox, also in the middle of a piece."""
    inbox = Inbox()
    inbox.put(memoryview(bytes(5000)))
    assert len(inbox.take(10)) == 10
    assert inbox.clear() == 4990
    inbox.put(memoryview(b"new"))
    assert inbox.take(None) == b"new"
