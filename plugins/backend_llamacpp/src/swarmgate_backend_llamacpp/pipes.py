"""A child's end of the pipes it talks to the gateway over; the engine's and the RPC server's alike."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Sequence
from typing import Any, Generic, TypeVar

from swarmgate.api import Frame, FrameSplitter, encode_frame

FrameT = TypeVar("FrameT", bound=Frame)
_CHUNK = 1 << 18


class Pipes(Generic[FrameT]):
    """Standard input and output, kept for frames: what libraries print goes to stderr.

    *kinds* is the union of frames that may come in.
    """

    def __init__(self, kinds: Any) -> None:
        self._out = os.dup(1)
        os.dup2(2, 1)
        self._splitter = FrameSplitter[FrameT](kinds)
        self._waiting: deque[FrameT] = deque()
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"<Pipes {len(self._waiting)} frames waiting>"

    def read(self) -> FrameT:
        """Return the next frame; end the process when whoever started it has gone."""
        while not self._waiting:
            data = os.read(0, _CHUNK)
            if not data:
                os._exit(0)
            self._waiting.extend(self._splitter.feed(data))
        return self._waiting.popleft()

    def say(self, frames: Sequence[Frame]) -> None:
        """Write *frames*, from whichever thread."""
        data = memoryview(b"".join(map(encode_frame, frames)))
        with self._lock:
            while data:
                data = data[os.write(self._out, data) :]
