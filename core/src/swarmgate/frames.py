"""Frames on a byte stream: a length and a MessagePack document.  No I/O here.

Layout: four bytes, big endian, the length of what follows; then one MessagePack map whose key
``type`` names the frame's class.  A gateway and its children talk this way over pipes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Generic, TypeVar

import msgspec

from swarmgate.errors import WireError

#: No honest frame is larger (bytes): a long chat with tools stays far below.
FRAME_LIMIT = 64 << 20
_HEAD = 4
_encoder = msgspec.msgpack.Encoder()

FrameT = TypeVar("FrameT", bound="Frame")


class Frame(msgspec.Struct, frozen=True, tag=True, omit_defaults=True):
    """Base of everything that crosses a pipe to or from a child."""


def encode_frame(frame: Frame) -> bytes:
    """Return *frame* as bytes for the pipe."""
    body = _encoder.encode(frame)
    return len(body).to_bytes(_HEAD, "big") + body


class FrameSplitter(Generic[FrameT]):
    """Cuts a byte stream back into frames of the union *kinds*."""

    def __init__(self, kinds: Any, *, limit: int = FRAME_LIMIT) -> None:
        self._decoder: msgspec.msgpack.Decoder[FrameT] = msgspec.msgpack.Decoder(kinds)
        self._limit = limit
        self._buffer = bytearray()

    def __repr__(self) -> str:
        return f"<FrameSplitter {len(self._buffer)} bytes waiting>"

    def feed(self, data: bytes) -> Iterator[FrameT]:
        """Take *data* in and return an iterator over the frames it completes.

        Raises:
            WireError: while iterating: a frame is larger than the limit or not one of the kinds;
                the stream cannot be trusted after that.

        """
        self._buffer += data
        return self._complete()

    def _complete(self) -> Iterator[FrameT]:
        start = 0
        try:
            while len(self._buffer) - start >= _HEAD:
                size = int.from_bytes(self._buffer[start : start + _HEAD], "big")
                if size > self._limit:
                    raise WireError(f"a frame announces {size} bytes, expected no more than {self._limit}")
                end = start + _HEAD + size
                if len(self._buffer) < end:
                    return
                body = bytes(memoryview(self._buffer)[start + _HEAD : end])
                start = end
                try:
                    yield self._decoder.decode(body)
                except (msgspec.MsgspecError, ValueError, RecursionError) as error:
                    raise WireError(f"a frame of {size} bytes cannot be read: {error}") from None
        finally:
            del self._buffer[:start]
