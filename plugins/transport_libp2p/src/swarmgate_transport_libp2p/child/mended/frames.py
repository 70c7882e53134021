"""yamux frames: bytes in, frames out, and back.

The format is hashicorp's (``github.com/hashicorp/yamux/blob/master/spec.md``): a header of 12 bytes, big endian:
version (0), type, flags (16 bits), stream (32), length (32).  A body follows a data frame and nothing else.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from swarmgate.api import WireError

DATA, WINDOW, PING, GO_AWAY = range(4)
SYN, ACK, FIN, RST = 1, 2, 4, 8

HEADER = struct.Struct("!BBHII")
_START = SYN | ACK  # holds before the body
_END = FIN | RST  # holds after it


class Frame(NamedTuple):
    """A frame, or a piece of a data frame.

    *value* is the window's growth, the ping's number or the code of going away.  A data frame may come in
    several pieces: the first carries SYN and ACK, the last FIN and RST.
    """

    kind: int
    flags: int
    stream: int
    value: int
    body: memoryview


_NOTHING = memoryview(b"")


def header(kind: int, flags: int, stream: int, length: int) -> bytes:
    """Return the 12 bytes before a body, or the whole of a frame without one."""
    return HEADER.pack(0, kind, flags, stream, length)


class FrameSplitter:
    """Cuts a stream of bytes into frames as they come; it holds less than a header, never a body."""

    def __init__(self) -> None:
        self._begun = b""
        self._flags = 0
        self._stream = 0
        self._left = 0

    def feed(self, data: bytes) -> list[Frame]:
        """Return the frames and pieces that *data* brings; their bodies look into *data*.

        Raises:
            WireError: a version or a type that yamux does not know.

        """
        frames: list[Frame] = []
        if self._begun:
            data = self._begun + data
            self._begun = b""
        view = memoryview(data)
        at, size = 0, len(data)
        while at < size:
            if self._left:
                end = min(size, at + self._left)
                self._left -= end - at
                flags = self._flags if not self._left else self._flags & ~_END
                frames.append(Frame(DATA, flags, self._stream, 0, view[at:end]))
                self._flags &= ~_START
                at = end
                continue
            if size - at < HEADER.size:
                self._begun = data[at:]
                break
            version, kind, flags, stream, length = HEADER.unpack_from(data, at)
            at += HEADER.size
            if version or kind > GO_AWAY:
                raise WireError(f"yamux: expected version 0 and a type up to 3, got version {version}, type {kind}")
            if kind == DATA and length:
                self._flags, self._stream, self._left = flags, stream, length
            else:
                frames.append(Frame(kind, flags, stream, 0 if kind == DATA else length, _NOTHING))
        return frames
