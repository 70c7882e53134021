"""The yamux of one connection, without its socket: bytes in, events out; calls in, bytes out.

The receive window is fixed and grows by what was read, half a window at a time; a reader who does not read makes the
writer wait, without a time limit and without touching the other streams.  A stream that was reset, or whose connection
died, is never taken for one that ended.
"""

from __future__ import annotations

from collections import deque
from enum import Enum, auto

from swarmgate.api import WireError

from swarmgate_transport_libp2p.child.mended import frames
from swarmgate_transport_libp2p.child.mended.frames import ACK, DATA, FIN, GO_AWAY, PING, RST, SYN, WINDOW, Frame
from swarmgate_transport_libp2p.child.mended.inbox import Inbox
from swarmgate_transport_libp2p.child.mended.limits import INITIAL_WINDOW, Limits

#: A batch fills one Noise message: 65535 bytes less its tag of 16.
BATCH = 65519
_BODY = BATCH - frames.HEADER.size
_MOST = 2**32 - 1


class Event(Enum):
    """What bytes from the other side brought about."""

    OPENED = auto()
    """The other side opened the stream."""

    ARRIVED = auto()
    """The stream has bytes to read, or its end."""

    GREW = auto()
    """The stream may send more."""

    RESET = auto()
    """The other side reset the stream."""

    PONG = auto()
    """The ping of that number was answered."""

    GONE = auto()
    """The other side takes no more streams; the number is its reason, 0 for none."""


class Stream:
    """One stream's state; only its :class:`Session` changes it."""

    __slots__ = (
        "acknowledged",
        "deaf",
        "ended",
        "finished",
        "growth",
        "id",
        "inbox",
        "ours",
        "owed",
        "reset",
        "window",
    )

    def __init__(self, number: int, *, ours: bool, growth: int) -> None:
        self.id = number
        self.ours = ours
        self.inbox = Inbox()
        self.growth = growth  # bytes that the other side may still send
        self.window = INITIAL_WINDOW  # bytes that we may still send
        self.owed = 0  # bytes read whose room the other side has not been told of
        self.acknowledged = not ours
        self.finished = False  # we have said that no more comes from us
        self.ended = False  # the other side has said so
        self.reset = False
        self.deaf = False  # nobody here will read any more

    @property
    def over(self) -> bool:
        """Whether the stream needs no place any more."""
        return self.reset or (self.finished and self.ended)


class Session:
    """All streams of one connection.

    After each call :attr:`queued` tells whether there is something to :meth:`take` and to send.
    """

    def __init__(self, *, initiator: bool, limits: Limits) -> None:
        self._limits = limits
        self._splitter = frames.FrameSplitter()
        self._parity = 1 if initiator else 0
        self._next = 1 if initiator else 2
        self._out: deque[bytes | memoryview] = deque()
        self._ours = self._theirs = self._unheard = self._waiting = 0
        self._closed: dict[int, float] = {}  # in the order of closing
        self.streams: dict[int, Stream] = {}
        self.queued = 0
        self.going = False

    # ---- our side speaks

    @property
    def may_open(self) -> bool:
        """Whether :meth:`open` has room; the other side's ending, or its taking up of a stream, makes some."""
        return self._ours < self._limits.outbound_streams and self._unheard < self._limits.backlog

    def open(self) -> Stream:
        """Open a stream; there must be room, and the other side must not be going away."""
        stream = Stream(self._next, ours=True, growth=self._limits.window)
        self._next += 2
        self.streams[stream.id] = stream
        self._ours += 1
        self._unheard += 1
        self._say(WINDOW, SYN, stream.id, self._limits.window - INITIAL_WINDOW)
        return stream

    def send(self, stream: Stream, data: memoryview) -> int:
        """Queue the beginning of *data*; return how many bytes, 0 when the window or the queue is full."""
        size = min(stream.window, len(data), _BODY)
        if not size or self.queued >= self._limits.queue:
            return 0
        stream.window -= size
        self._say(DATA, 0, stream.id, size)
        self._out.append(data[:size])
        self.queued += size
        return size

    def read(self, stream: Stream, most: int | None) -> bytes:
        """Return up to *most* bytes that have come for *stream*, and make room for as many."""
        taken = stream.inbox.take(most)
        self._credit(stream, len(taken))
        return taken

    def finish(self, stream: Stream) -> None:
        """Say that no more comes from us; reading goes on."""
        if not (stream.finished or stream.reset):
            stream.finished = True
            self._say(WINDOW, FIN, stream.id, 0)
            self._settle(stream)

    def close(self, stream: Stream, now: float) -> None:
        """Be done with *stream*: what was queued is still sent; if the other side sends on, it is told to stop."""
        self.finish(stream)
        stream.inbox.clear()
        stream.deaf = True
        if stream.id in self.streams:
            self._closed[stream.id] = now

    def abort(self, stream: Stream) -> None:
        """Reset *stream*; what has come and was not read is gone."""
        if not stream.over:
            self._say(WINDOW, RST, stream.id, 0)
        stream.inbox.clear()
        stream.reset = stream.deaf = True
        self._settle(stream)

    def sweep(self, now: float) -> None:
        """Reset the streams that we closed long ago and the other side never did."""
        while self._closed:
            number, since = next(iter(self._closed.items()))
            if now - since < self._limits.linger:
                return
            self.abort(self.streams[number])

    def ping(self, number: int) -> None:
        """Ask for an answer; it comes as a :attr:`Event.PONG`."""
        self._say(PING, SYN, 0, number)

    def go_away(self, code: int = 0) -> None:
        """Tell the other side that this is the end: 0 as planned, 1 as it broke the protocol, 2 for our own fault."""
        self._say(GO_AWAY, 0, 0, code)

    def take(self, most: int = BATCH) -> bytes:
        """Return what is to be sent next, up to *most* bytes; empty when there is nothing."""
        out = self._out
        if not out:
            return b""
        parts = [out.popleft()]
        size = len(parts[0])
        while out and size + len(out[0]) <= most:
            size += len(out[0])
            parts.append(out.popleft())
        self.queued -= size
        return b"".join(parts)

    def die(self) -> None:
        """End with the connection: no stream that was open has ended well."""
        for stream in self.streams.values():
            stream.reset = True
        self.streams.clear()
        self._closed.clear()
        self._out.clear()
        self.queued = self._ours = self._theirs = self._unheard = 0
        self.going = True

    # ---- the other side speaks

    def receive(self, data: bytes, waiting: int = 0) -> list[tuple[Event, Stream | int]]:
        """Take in bytes; *waiting* streams of the other side are not taken up yet.

        Raises:
            WireError: the other side breaks the protocol or asks more than it reads; the connection is lost.

        """
        events: list[tuple[Event, Stream | int]] = []
        self._waiting = waiting
        for frame in self._splitter.feed(data):
            if frame.kind <= WINDOW:
                self._hear(frame, events)
            elif frame.kind == PING:
                if frame.flags & SYN:
                    self._say(PING, ACK, 0, frame.value)
                else:
                    events.append((Event.PONG, frame.value))
            else:
                self.going = True
                events.append((Event.GONE, frame.value))
        if self.queued > self._limits.queue + BATCH + self._limits.answers:
            raise WireError(f"yamux: the other side asks and does not read: {self.queued} bytes wait for it")
        return events

    def _hear(self, frame: Frame, events: list[tuple[Event, Stream | int]]) -> None:
        stream = self.streams.get(frame.stream)
        if frame.flags & SYN and (stream := self._admit(frame.stream)) is not None:
            events.append((Event.OPENED, stream))
        if stream is None:
            return  # one that we have refused, or reset before the other side knew
        if frame.flags & ACK and not stream.acknowledged:
            stream.acknowledged = True
            self._unheard -= 1
        if frame.kind == WINDOW and frame.value:
            stream.window += frame.value
            if stream.window > _MOST:
                raise WireError(f"yamux: the window of stream {stream.id} grows beyond {_MOST}")
            events.append((Event.GREW, stream))
        elif frame.body:
            self._take_in(stream, frame.body, events)
        if frame.flags & FIN:
            stream.ended = True
            events.append((Event.ARRIVED, stream))
        if frame.flags & RST:
            stream.reset = True
            events.append((Event.RESET, stream))
        self._settle(stream)

    def _admit(self, number: int) -> Stream | None:
        if number in self.streams or number % 2 == self._parity or not number:
            raise WireError(f"yamux: stream {number} cannot be opened by the other side now")
        if self.going or self._theirs >= self._limits.inbound_streams or self._waiting >= self._limits.backlog:
            self._say(WINDOW, RST, number, 0)
            return None
        stream = self.streams[number] = Stream(number, ours=False, growth=self._limits.window)
        self._theirs += 1
        self._waiting += 1
        self._say(WINDOW, ACK, number, self._limits.window - INITIAL_WINDOW)
        return stream

    def _take_in(self, stream: Stream, body: memoryview, events: list[tuple[Event, Stream | int]]) -> None:
        stream.growth -= len(body)
        if stream.growth < 0:
            raise WireError(f"yamux: stream {stream.id} brings {-stream.growth} bytes more than its window")
        if stream.deaf or stream.ended:  # nobody reads it, or it has broken its own word
            self.abort(stream)
            return
        stream.inbox.put(body)
        if events and events[-1] == (Event.ARRIVED, stream):
            return
        events.append((Event.ARRIVED, stream))

    # ---- bookkeeping

    def _say(self, kind: int, flags: int, stream: int, length: int) -> None:
        self._out.append(frames.header(kind, flags, stream, length))
        self.queued += frames.HEADER.size

    def _credit(self, stream: Stream, size: int) -> None:
        stream.owed += size
        if stream.owed * 2 >= self._limits.window and not (stream.ended or stream.reset):
            self._say(WINDOW, 0, stream.id, stream.owed)
            stream.growth += stream.owed
            stream.owed = 0

    def _settle(self, stream: Stream) -> None:
        if not stream.over or self.streams.pop(stream.id, None) is None:
            return
        self._closed.pop(stream.id, None)
        if stream.ours:
            self._ours -= 1
            self._unheard -= not stream.acknowledged
        else:
            self._theirs -= 1
