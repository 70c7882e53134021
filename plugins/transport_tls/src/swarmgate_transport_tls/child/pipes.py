"""The child's end of the pipes to the gateway: frames in and out, never waiting for a gateway that does not read."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

from swarmgate.api import Frame, FrameSplitter, encode_frame

from swarmgate_transport_tls.messages import Measured, ToChild

_CHUNK = 1 << 16
#: When so many bytes wait to be read, how paths do is not news.
_CROWDED = 1 << 16


class Pipes:
    """Standard input and output, kept for frames: what libraries print goes to stderr.

    *heard* takes each frame, *ended* is called when the gateway has gone.
    """

    def __init__(self, heard: Callable[[ToChild], None], ended: Callable[[], None]) -> None:
        self._heard, self._ended = heard, ended
        self._loop = asyncio.get_running_loop()
        self._splitter = FrameSplitter[ToChild](ToChild)
        self._waiting = bytearray()
        self._out = os.dup(1)
        os.dup2(2, 1)
        os.set_blocking(0, False)
        os.set_blocking(self._out, False)
        self._loop.add_reader(0, self._read)

    def __repr__(self) -> str:
        return f"<Pipes, {len(self._waiting)} bytes waiting>"

    def tell(self, frame: Frame) -> None:
        """Send *frame*, as soon as the gateway reads it."""
        if len(self._waiting) > _CROWDED and isinstance(frame, Measured):
            return
        idle = not self._waiting
        self._waiting += encode_frame(frame)
        if idle:
            self._write()

    def _read(self) -> None:
        try:
            data = os.read(0, _CHUNK)
        except BlockingIOError:
            return
        if not data:
            self._loop.remove_reader(0)
            self._ended()
            return
        for frame in self._splitter.feed(data):
            self._heard(frame)

    def _write(self) -> None:
        try:
            del self._waiting[: os.write(self._out, self._waiting)]
        except BlockingIOError:
            pass
        except BrokenPipeError:
            self._waiting.clear()
        if self._waiting:
            self._loop.add_writer(self._out, self._write)
        else:
            self._loop.remove_writer(self._out)
