"""A stream as py-libp2p gives them, over trio's memory streams: ends, half-closes, and breaks when it is told to."""

from __future__ import annotations

from typing import Any

import trio
import trio.testing


class Connection:
    """What a stream says of its connection."""

    def __init__(self) -> None:
        self.is_closed = False
        self.peer_id = "peer"


class Stream:
    """One end; *quirks* are what the library does wrong: ``reset looks like end``."""

    def __init__(self, inner: Any, *, shows_resets: bool = True) -> None:
        self.muxed_conn = Connection()
        self.muxed_stream: Any = self
        self.reset_received = False
        self.resets = 0
        self._inner, self._shows_resets = inner, shows_resets
        self._broken = trio.Event()
        self.other: Stream | None = None

    async def read(self, most: int) -> bytes:
        from libp2p.network.stream.exceptions import StreamEOF, StreamReset

        data = b""
        try:
            data = bytes(await self._inner.receive_some(most))
        except (trio.ClosedResourceError, trio.BrokenResourceError):
            if self._shows_resets:
                raise StreamReset from None
        if not data:
            if self.reset_received and self._shows_resets:
                raise StreamReset
            raise StreamEOF
        return data

    async def write(self, data: bytes) -> None:
        from libp2p.network.stream.exceptions import StreamReset

        if self.reset_received:
            raise StreamReset
        try:
            await self._inner.send_all(data)
        except (trio.ClosedResourceError, trio.BrokenResourceError):
            raise StreamReset from None

    async def close_write(self) -> None:
        await self._inner.send_eof()

    async def close(self) -> None:
        await self._inner.aclose()

    async def reset(self) -> None:
        self.resets += 1
        self.reset_received = True
        if self.other is not None:
            self.other.reset_received = True
        await self._inner.aclose()


def a_pair(**quirks: bool) -> tuple[Stream, Stream]:
    """Return two ends of one stream."""
    one, other = (Stream(each, **quirks) for each in trio.testing.memory_stream_pair())
    one.other, other.other = other, one
    return one, other
