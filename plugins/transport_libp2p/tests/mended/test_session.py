from __future__ import annotations

from collections import defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from swarmgate.api import WireError
from swarmgate_transport_libp2p.child.mended.frames import ACK, DATA, FIN, PING, RST, SYN, WINDOW, header
from swarmgate_transport_libp2p.child.mended.limits import INITIAL_WINDOW, Limits
from swarmgate_transport_libp2p.child.mended.session import BATCH, Event, Session, Stream

LIMITS = Limits(window=INITIAL_WINDOW, queue=64 * 1024, inbound_streams=6, outbound_streams=8, backlog=4)


def _both(limits: Limits = LIMITS) -> tuple[Session, Session]:
    return Session(initiator=True, limits=limits), Session(initiator=False, limits=limits)


def _carry(source: Session, sink: Session) -> list[tuple[Event, Stream | int]]:
    events: list[tuple[Event, Stream | int]] = []
    while batch := source.take():
        events += sink.receive(batch)
    return events


def _opened(near: Session, far: Session) -> tuple[Stream, Stream]:
    stream = near.open()
    [(event, there)] = _carry(near, far)
    assert event is Event.OPENED
    assert isinstance(there, Stream)
    _carry(far, near)
    return stream, there


class Conversation(RuleBasedStateMachine):
    """Two sessions and the bytes between them, which arrive late and in any pieces; a book says what must come."""

    @initialize()
    def begin(self) -> None:
        self.sides = _both()
        self.wires = [bytearray(), bytearray()]
        self.known: list[dict[int, Stream]] = [{}, {}]
        self.sent: dict[tuple[int, int], bytearray] = defaultdict(bytearray)
        self.read: dict[tuple[int, int], bytearray] = defaultdict(bytearray)
        self.finished: set[tuple[int, int]] = set()
        self.broken: set[int] = set()
        self.counter = 0

    def _some(self, side: int, pick: int) -> Stream | None:
        streams = list(self.known[side].values())
        return streams[pick % len(streams)] if streams else None

    @rule(side=st.integers(0, 1))
    def open(self, side: int) -> None:
        if self.sides[side].may_open:
            stream = self.sides[side].open()
            self.known[side][stream.id] = stream

    @rule(side=st.integers(0, 1), pick=st.integers(0, 9), size=st.sampled_from([1, 100, 5000, 70_000, 400_000]))
    def send(self, side: int, pick: int, size: int) -> None:
        stream = self._some(side, pick)
        if stream is None or stream.finished or stream.reset:
            return
        self.counter += 1
        data = (self.counter.to_bytes(4, "big") * (size // 4 + 1))[:size]
        taken = self.sides[side].send(stream, memoryview(data))
        self.sent[side, stream.id] += data[:taken]

    @rule(side=st.integers(0, 1), pick=st.integers(0, 9), most=st.sampled_from([None, 1, 1000, 100_000]))
    def take_in(self, side: int, pick: int, most: int | None) -> None:
        if (stream := self._some(side, pick)) is not None:
            self.read[side, stream.id] += self.sides[side].read(stream, most)

    @rule(side=st.integers(0, 1), pick=st.integers(0, 9))
    def pour(self, side: int, pick: int) -> None:
        for _ in range(8):
            self.send(side, pick, 70_000)
            self.deliver(side, 200_000)
            if (stream := self._some(side, pick)) is not None and (there := self.known[1 - side].get(stream.id)):
                self.read[1 - side, there.id] += self.sides[1 - side].read(there, None)

    @rule(side=st.integers(0, 1), pick=st.integers(0, 9), how=st.sampled_from(["finish", "finish", "close", "abort"]))
    def end(self, side: int, pick: int, how: str) -> None:
        if (stream := self._some(side, pick)) is None:
            return
        session = self.sides[side]
        if how == "finish":
            session.finish(stream)
        elif how == "close":
            session.close(stream, 0.0)
        else:
            self.broken.add(stream.id)
            session.abort(stream)

    @rule(side=st.integers(0, 1), size=st.integers(1, 200_000))
    def deliver(self, side: int, size: int) -> None:
        while batch := self.sides[side].take():
            self.wires[side] += batch
        data = bytes(self.wires[side][:size])
        del self.wires[side][:size]
        other = 1 - side
        for event, stream in self.sides[other].receive(data):
            if event is Event.OPENED:
                assert isinstance(stream, Stream)
                self.known[other][stream.id] = stream

    @invariant()
    def what_is_read_was_sent(self) -> None:
        """What was read, and what waits to be, is the beginning of what was sent; after an end it is all of it."""
        for (side, number), read in self.read.items():
            sent = self.sent[1 - side, number]
            stream = self.known[side][number]
            assert sent.startswith(read)
            if stream.ended and not stream.deaf and not len(stream.inbox):
                assert read == sent

    @invariant()
    def windows_are_kept(self) -> None:
        """What may come, what waits and what was read make the window, and no writer counts on more."""
        for side in (0, 1):
            for stream in self.known[side].values():
                if not stream.deaf:
                    assert stream.growth + len(stream.inbox) + stream.owed == LIMITS.window
                there = self.known[1 - side].get(stream.id)
                assert there is None or there.reset or stream.window <= there.growth

    @invariant()
    def memory_is_bounded(self) -> None:
        """No inbox holds more than the window, and the streams that are kept are within the limits."""
        for side in (0, 1):
            session = self.sides[side]
            assert all(len(stream.inbox) <= LIMITS.window for stream in self.known[side].values())
            assert len(session.streams) <= LIMITS.inbound_streams + LIMITS.outbound_streams
            assert session.queued == sum(map(len, session._out))
            for stream in session.streams.values():
                assert not stream.over


TestConversation = Conversation.TestCase
TestConversation.settings = settings(max_examples=60, stateful_step_count=60, deadline=None)


@given(st.binary(max_size=300), st.booleans())
def test_any_bytes_are_taken_in_or_refused(noise: bytes, initiator: bool) -> None:
    """Random bytes after a stream was opened raise nothing but WireError."""
    session = Session(initiator=initiator, limits=LIMITS)
    session.open()
    try:
        session.receive(noise)
    except WireError:
        return
    assert session.queued < 64 * 1024


FRAME = st.builds(
    lambda kind, flags, stream, body: header(kind, flags, stream, len(body)) + (body if kind == DATA else b""),
    st.integers(0, 3),
    st.integers(0, 15),
    st.integers(0, 7),
    st.binary(max_size=50),
)


@given(st.lists(FRAME, max_size=40))
def test_any_frames_are_taken_in_or_refused(frames: list[bytes]) -> None:
    """Frames in any order, with any flags, leave the books right or raise WireError."""
    session = Session(initiator=True, limits=LIMITS)
    streams = [session.open() for _ in range(3)]
    try:
        session.receive(b"".join(frames))
    except WireError:
        return
    for stream in [*streams, *session.streams.values()]:
        session.read(stream, None)
        session.close(stream, 0.0)
        session.abort(stream)
    assert session.streams == {}
    assert (session._ours, session._theirs, session._unheard) == (0, 0, 0)


def test_a_batch_is_one_noise_message() -> None:
    """Full frames come out one to a batch, and small ones together, so that each is one message of Noise."""
    near, far = _both()
    stream, _ = _opened(near, far)
    near.send(stream, memoryview(bytes(200_000)))
    assert len(near.take()) == BATCH
    for _ in range(50):
        near.send(stream, memoryview(b"small"))
    assert len(near.take()) == 50 * (12 + 5)
    assert near.take() == b""


def test_room_is_given_back_by_halves_of_the_window() -> None:
    """Reading little says nothing; when half a window has been read, one frame gives all of it back."""
    near, far = _both()
    stream, there = _opened(near, far)
    while near.send(stream, memoryview(bytes(300_000))):
        _carry(near, far)
    assert stream.window == 0
    far.read(there, 1000)
    assert not far.queued
    while far.read(there, None):
        pass
    assert 12 <= far.queued <= 24
    _carry(far, near)
    assert stream.window >= LIMITS.window // 2


def test_more_than_the_window_is_refused() -> None:
    """A peer that sends beyond what it was allowed loses the connection."""
    session = Session(initiator=False, limits=LIMITS)
    session.receive(header(WINDOW, SYN, 1, 0))
    with pytest.raises(WireError, match="1 bytes more than its window"):
        session.receive(header(DATA, 0, 1, LIMITS.window + 1) + bytes(LIMITS.window + 1))


def test_a_window_has_an_end() -> None:
    """A peer cannot let our counter of its window grow without end."""
    session = Session(initiator=False, limits=LIMITS)
    session.receive(header(WINDOW, SYN, 1, 0))
    with pytest.raises(WireError, match="grows beyond"):
        session.receive(header(WINDOW, 0, 1, 2**32 - 1))


@pytest.mark.parametrize("number", [0, 2, 1])
def test_a_stream_is_opened_once_and_by_its_side(number: int) -> None:
    """Stream 0, one of our own numbers, and one that is open already cannot be opened by the other side."""
    session = Session(initiator=False, limits=LIMITS)
    session.receive(header(WINDOW, SYN, 1, 0))
    with pytest.raises(WireError, match=f"stream {number} cannot be opened"):
        session.receive(header(WINDOW, SYN, number, 0))


def test_who_asks_and_does_not_read_is_refused() -> None:
    """A flood of pings whose answers nobody takes ends the connection before it fills the memory."""
    session = Session(initiator=False, limits=Limits())
    flood = header(PING, SYN, 0, 7) * 1000
    for _ in range(30):
        session.receive(flood)
    with pytest.raises(WireError, match="asks and does not read"):
        session.receive(flood * 10)


def test_too_many_untaken_streams_are_reset() -> None:
    """Beyond the backlog, opened streams are reset one by one; those before them live."""
    session = Session(initiator=False, limits=LIMITS)
    events = session.receive(b"".join(header(WINDOW, SYN, number, 0) for number in range(1, 21, 2)))
    assert [event for event, _ in events] == [Event.OPENED] * LIMITS.backlog
    answers = session.take()
    assert answers.count(header(WINDOW, ACK, 1, 0)) == 1
    assert answers.count(header(WINDOW, RST, 9, 0)) == 1


def test_closing_for_good_ends_a_stream_that_the_other_side_keeps() -> None:
    """A stream closed here and never there is reset when its time is over, and gives its place back."""
    near, far = _both()
    stream, _ = _opened(near, far)
    near.close(stream, now=100.0)
    near.sweep(100.0 + LIMITS.linger - 1)
    assert near.streams
    near.sweep(100.0 + LIMITS.linger)
    assert not near.streams
    assert Event.RESET in [event for event, _ in _carry(near, far)]
    assert not far.streams


def test_bytes_after_our_closing_are_answered_by_a_reset() -> None:
    """Who writes on to a stream that we have closed is told to stop."""
    near, far = _both()
    stream, there = _opened(near, far)
    far.close(there, 0.0)
    _carry(far, near)
    near.send(stream, memoryview(b"more"))
    _carry(near, far)
    assert Event.RESET in [event for event, _ in _carry(far, near)]
    assert stream.reset


def test_death_is_no_end() -> None:
    """When the connection dies, open streams are broken; one that had ended before stays ended."""
    near, far = _both()
    ended, there = _opened(near, far)
    cut, _ = _opened(near, far)
    far.finish(there)
    _carry(far, near)
    near.die()
    assert ended.ended
    assert cut.reset
    assert not cut.ended
    assert not near.streams
    assert not near.queued


def test_breaking_is_no_end() -> None:
    """A stream that we break, when its end is here and its bytes are not read, has not ended for us."""
    near, far = _both()
    stream, there = _opened(near, far)
    far.send(there, memoryview(b"unread"))
    far.finish(there)
    _carry(far, near)
    near.abort(stream)
    assert stream.deaf
    assert not near.read(stream, None)


def test_an_end_comes_after_its_bytes() -> None:
    """FIN is sent behind what was queued before, and a body that carries it ends with its last piece."""
    session = Session(initiator=False, limits=LIMITS)
    wire = header(WINDOW, SYN, 1, 0) + header(DATA, FIN, 1, 4) + b"last"
    [(_, stream), *_] = session.receive(wire[:-2])
    assert isinstance(stream, Stream)
    assert not stream.ended
    session.receive(wire[-2:])
    assert stream.ended
    assert stream.inbox.take(None) + stream.inbox.take(None) == b"last"
