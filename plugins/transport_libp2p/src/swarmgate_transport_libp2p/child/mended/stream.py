"""One yamux stream as libp2p sees it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Self

import trio
from libp2p.abc import IMuxedStream
from libp2p.stream_muxer.exceptions import MuxedStreamClosed, MuxedStreamEOF, MuxedStreamReset

from swarmgate_transport_libp2p.child.mended.session import Stream

if TYPE_CHECKING:
    from swarmgate_transport_libp2p.child.mended.muxer import Muxer


class MuxedStream(IMuxedStream):
    """A stream; every operation may be cancelled, and only :meth:`read` and :meth:`write` wait for the other side."""

    def __init__(self, muxer: Muxer, state: Stream) -> None:
        self.muxed_conn = muxer
        self.state = state
        self.stream_id = state.id
        self.is_initiator = state.ours
        self.at_end: Callable[[], None] | None = None  # called once when both sides are done
        self.in_background = False
        self._muxer = muxer
        self._session = muxer.session
        self._writing = trio.StrictFIFOLock()
        self._arrived = trio.lowlevel.ParkingLot()
        self._grew = trio.lowlevel.ParkingLot()

    async def __aenter__(self) -> Self:
        return self

    def to_background(self) -> None:
        """Say that nobody waits for anything on it: a silence need not be noticed within seconds for its sake."""
        self.in_background = True
        self._muxer.reconsider()

    @property
    def closed(self) -> bool:
        """Whether nothing can be read or written any more."""
        return self.state.over

    @property
    def is_closed(self) -> bool:
        """As libp2p asks for :attr:`closed`."""
        return self.state.over

    @property
    def reset_received(self) -> bool:
        """Whether the stream, or its connection, broke."""
        return self.state.reset

    async def read(self, n: int | None = None) -> bytes:
        """Return 1 to *n* bytes, waiting for the first.

        Raises:
            MuxedStreamEOF: the other side ended the stream, and all of it was read.
            MuxedStreamReset: it was reset, or the connection died; what was read may not be all.

        """
        state = self.state
        while not len(state.inbox):
            if state.ended and not state.deaf:
                raise MuxedStreamEOF("the other side ended the stream")
            if state.reset or state.deaf or self._muxer.is_closed:
                raise MuxedStreamReset(self._why())
            await self._arrived.park()
        data = self._session.read(state, n if n is None or n > 0 else None)
        self._muxer.kick()
        return data

    async def write(self, data: bytes) -> None:
        """Queue all of *data*, waiting for the other side's window; writes of several tasks do not mix.

        A cancelled write has sent a beginning of *data*, all of it or nothing.

        Raises:
            MuxedStreamClosed: we have ended the stream ourselves.
            MuxedStreamReset: it was reset, or the connection died.

        """
        left = memoryview(bytes(data))
        state, session = self.state, self._session
        async with self._writing:
            while True:
                if state.reset or self._muxer.is_closed:
                    raise MuxedStreamReset(self._why())
                if state.finished:
                    raise MuxedStreamClosed("the stream was ended here")
                if sent := session.send(state, left):
                    left = left[sent:]
                    self._muxer.kick()
                if not left:
                    return
                if not state.window:
                    await self._grew.park()
                elif not sent:
                    await self._muxer.room()

    async def close_write(self) -> None:
        """End our direction; reading goes on."""
        self._session.finish(self.state)
        self._after()
        await trio.lowlevel.checkpoint()

    async def close(self) -> None:
        """Be done with the stream: what was written still arrives, what comes now is refused."""
        self._session.close(self.state, trio.current_time())
        self._after()
        await trio.lowlevel.checkpoint()

    async def reset(self) -> None:
        """Break the stream, on both sides; never waits."""
        self.abort()
        await trio.lowlevel.checkpoint()

    def abort(self) -> None:
        """Break the stream, for callers that cannot await."""
        if not self._muxer.is_closed:
            self._session.abort(self.state)
        self._after()

    def set_deadline(self, ttl: int) -> None:
        """Refuse: trio's cancel scopes are safe here, and say more.

        Raises:
            NotImplementedError: always.

        """
        raise NotImplementedError("use a cancel scope around the operation")

    def get_remote_address(self) -> tuple[str, int] | None:
        """Return the other side's host and port."""
        return self._muxer.get_remote_address()

    def wake(self, *, reading: bool, writing: bool) -> None:
        """Let those look again who wait to read or to write."""
        if reading:
            self._arrived.unpark_all()
        if writing:
            self._grew.unpark_all()

    def _after(self) -> None:
        self.wake(reading=True, writing=True)
        self._muxer.forget(self)
        self._muxer.kick()

    def _why(self) -> str:
        return f"the connection is over: {self._muxer.reason}" if self._muxer.is_closed else "the stream was reset"
