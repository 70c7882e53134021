"""What has come for a stream and is not read yet: bytes in, bytes out, and little memory beside them."""

from __future__ import annotations

from collections import deque

_SMALL = 4096
_GATHER = 64 * 1024


class Inbox:
    """A queue of bytes.

    Large pieces are kept as they come; small ones are gathered, lest a sender of single bytes makes us keep an
    object for each.
    """

    def __init__(self) -> None:
        self._pieces: deque[bytes | bytearray] = deque()
        self._at = 0
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def put(self, piece: memoryview) -> None:
        """Append *piece*; it is copied."""
        self._size += len(piece)
        if len(piece) >= _SMALL:
            self._pieces.append(bytes(piece))
        elif self._pieces and isinstance(last := self._pieces[-1], bytearray) and len(last) < _GATHER:
            last += piece
        else:
            self._pieces.append(bytearray(piece))

    def take(self, most: int | None) -> bytes:
        """Return up to *most* bytes of the oldest piece, or all of it when that is None; empty if nothing is here."""
        if not self._pieces:
            return b""
        piece = self._pieces[0]
        end = len(piece) if most is None else min(len(piece), self._at + most)
        if end == len(piece):
            self._pieces.popleft()
            taken = bytes(piece) if not self._at else bytes(memoryview(piece)[self._at :])
            self._at = 0
        else:
            taken = bytes(memoryview(piece)[self._at : end])
            self._at = end
        self._size -= len(taken)
        return taken

    def clear(self) -> int:
        """Forget everything; return how many bytes that were."""
        size, self._size, self._at = self._size, 0, 0
        self._pieces.clear()
        return size
