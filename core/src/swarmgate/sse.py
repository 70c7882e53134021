"""Server-sent events out of a stream of bytes; sans-I/O.

Bytes may be cut anywhere, also within a character; only whole events come out.
"""

from __future__ import annotations

from typing import NamedTuple

from swarmgate.errors import WireError

_LARGEST = 8 * 1024 * 1024
_FIELD, _BLANK = b"data: ", b"\n\n"
_MARK = "\N{BYTE ORDER MARK}".encode()


class ServerEvent(NamedTuple):
    """An event: its *name*, ``message`` where none is given, and its data."""

    name: str
    data: bytes


class EventReader:
    """Collects lines into events; comments, ids and times to wait are skipped.

    No event may have more than *largest* bytes.
    """

    def __init__(self, *, largest: int = _LARGEST) -> None:
        self._largest = largest
        self._line = bytearray()
        self._data: list[bytes] = []
        self._name = ""
        self._size = 0
        self._begun = False
        self._after_return = False

    def __repr__(self) -> str:
        return f"<EventReader {self._size + len(self._line)} bytes kept>"

    def feed(self, chunk: bytes) -> list[bytes]:
        """Take *chunk* in; return the data of the events that it completes.

        Raises:
            WireError: an event is larger than it may be.

        """
        chunk = self._evened(chunk)
        if not self._line and not self._data and not self._name and (plain := self._plain(chunk)):
            return plain
        return [event.data for event in self._read(chunk)]

    def named(self, chunk: bytes) -> list[ServerEvent]:
        """Take *chunk* in; return the events that it completes, with their names.

        Raises:
            WireError: an event is larger than it may be.

        """
        return self._read(self._evened(chunk))

    def _evened(self, chunk: bytes) -> bytes:
        """Return *chunk* with ends of lines of one kind."""
        if self._after_return and chunk.startswith(b"\n"):
            chunk = chunk[1:]  # the other half of an end of line
            self._after_return = False
        if chunk:
            self._after_return = chunk.endswith(b"\r")
        return chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n") if b"\r" in chunk else chunk

    def _read(self, chunk: bytes) -> list[ServerEvent]:
        *lines, rest = chunk.split(b"\n")
        events: list[ServerEvent] = []
        for line in lines:
            self._keep(line)
            whole = bytes(self._line)
            self._line.clear()
            self._take(whole, events)
        self._keep(rest)
        return events

    def close(self) -> list[bytes]:
        """Return the data of an event that the end of the stream completes, if there is one."""
        events: list[ServerEvent] = []
        self._take(bytes(self._line), events)
        self._line.clear()
        self._take(b"", events)
        return [event.data for event in events]

    def _plain(self, chunk: bytes) -> list[bytes]:
        """Return the data of the events in *chunk* if it holds whole ones of a line each, as most do; else nothing.

        Line by line they would cost four times as much.
        """
        blocks = chunk.split(_BLANK)
        if blocks.pop():
            return []
        for block in blocks:
            if not block.startswith(_FIELD) or b"\n" in block or len(block) > self._largest:
                return []
        self._begun = True
        return [block[len(_FIELD) :] for block in blocks]

    def _keep(self, piece: bytes) -> None:
        self._line += piece
        if self._size + len(self._line) > self._largest:
            raise WireError(f"an event has more than {self._largest} bytes")

    def _take(self, line: bytes, events: list[ServerEvent]) -> None:
        if not self._begun:
            self._begun = True
            line = line.removeprefix(_MARK)
        if not line:
            if self._data:
                events.append(ServerEvent(self._name or "message", b"\n".join(self._data)))
            self._data.clear()
            self._name = ""
            self._size = 0
            return
        field, _, value = line.partition(b":")
        if field == b"data":
            value = value.removeprefix(b" ")
            self._data.append(value)
            self._size += len(value) + 1
        elif field == b"event":
            self._name = value.removeprefix(b" ").decode(errors="replace")
