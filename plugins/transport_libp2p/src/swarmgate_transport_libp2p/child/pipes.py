"""The child's end of the pipes it talks to the gateway over."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import AsyncGenerator

import trio
from swarmgate.api import Frame, FrameSplitter, encode_frame

from swarmgate_transport_libp2p.messages import Published, Said, ToChild

_CHUNK = 1 << 18
#: The most bytes that wait for the gateway to read them; what others said is dropped beyond, and said again some day.
_MOST_WAITING = 8 << 20


class Pipes:
    """Standard input and output, kept for frames: what libraries print goes to stderr."""

    def __init__(self) -> None:
        out = os.dup(1)
        os.dup2(2, 1)
        self._in, self._out = trio.lowlevel.FdStream(os.dup(0)), trio.lowlevel.FdStream(out)
        self._waiting: deque[bytes] = deque()
        self._size = 0
        self._news = trio.Event()

    def __repr__(self) -> str:
        return f"<Pipes {self._size} bytes waiting>"

    async def frames(self) -> AsyncGenerator[ToChild]:
        """Yield what the gateway says, until it closes the pipe."""
        splitter = FrameSplitter[ToChild](ToChild)
        while data := await self._in.receive_some(_CHUNK):
            for frame in splitter.feed(bytes(data)):
                yield frame

    def say(self, frame: Frame) -> None:
        """Have *frame* written; never waits."""
        if self._size > _MOST_WAITING and isinstance(frame, Published | Said):
            return
        data = encode_frame(frame)
        self._waiting.append(data)
        self._size += len(data)
        self._news.set()

    async def write(self) -> None:
        """Write what is to be said, for ever."""
        while True:
            await self._news.wait()
            self._news = trio.Event()
            data = b"".join(self._waiting)
            self._waiting.clear()
            await self._out.send_all(data)
            self._size -= len(data)
