"""A direction's bytes and its end inside TLS, which has no half-close that asyncio knows.  No I/O here.

Layout: four bytes, big endian, the length of the data that follows, at most :data:`LARGEST`; a length of 0 is the end
of this direction.  A connection that ends without it was cut, and what came may be a part of what was sent.
"""

from __future__ import annotations

from swarmgate.api import WireError

HEAD = 4
#: No honest piece is longer, in bytes.
LARGEST = 1 << 20
END = bytes(HEAD)


def put_head(buffer: memoryview, size: int) -> None:
    """Write the head of a piece of *size* bytes, which stand behind it, into *buffer*."""
    buffer[:HEAD] = size.to_bytes(HEAD, "big")


class Unframer:
    """Takes the heads out of one direction's bytes again; holds no more than a part of one head."""

    __slots__ = ("_head", "_left", "ended")

    def __init__(self) -> None:
        self._head = b""
        self._left = 0
        self.ended = False

    def __repr__(self) -> str:
        return "<Unframer, ended>" if self.ended else f"<Unframer, {self._left} bytes of a piece to come>"

    def feed(self, data: memoryview) -> list[memoryview]:
        """Return the parts of *data* that are data, in order; :attr:`ended` says whether the end has come.

        Raises:
            WireError: a piece is too long, or something follows the end.

        """
        pieces: list[memoryview] = []
        at, size = 0, len(data)
        while at < size:
            if self.ended:
                raise WireError("data follows the end of its direction")
            if self._left:
                until = min(size, at + self._left)
                pieces.append(data[at:until])
                self._left -= until - at
                at = until
                continue
            until = min(size, at + HEAD - len(self._head))
            self._head += bytes(data[at:until])
            at = until
            if len(self._head) == HEAD:
                self._begin()
        return pieces

    def _begin(self) -> None:
        self._left = int.from_bytes(self._head, "big")
        self._head = b""
        if self._left > LARGEST:
            raise WireError(f"a piece announces {self._left} bytes, expected no more than {LARGEST}")
        self.ended = self._left == 0
