"""yamux for libp2p on trio: one task writes, one reads, one listens for silence; callers may be cancelled at any time.

A caller only queues bytes and waits for room, so that cancelling it never leaves half a frame on the wire.  Once the
connection is over, for whatever reason, everything that waits on it is told at once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from typing import cast

import structlog
import trio
from libp2p.abc import IMuxedConn, ISecureConn
from libp2p.connection_types import ConnectionType
from libp2p.peer.id import ID
from libp2p.stream_muxer.exceptions import MuxedConnUnavailable
from multiaddr import Multiaddr
from swarmgate.api import WireError

from swarmgate_transport_libp2p.child.mended.limits import Limits
from swarmgate_transport_libp2p.child.mended.liveness import Duty, Liveness
from swarmgate_transport_libp2p.child.mended.session import Event, Session, Stream
from swarmgate_transport_libp2p.child.mended.stream import MuxedStream

log = structlog.get_logger("swarmgate.libp2p")

#: Seconds for parting words, and for the socket to close.
_PARTING = 0.5


class Muxer(IMuxedConn):
    """A connection that carries streams."""

    def __init__(self, secured: ISecureConn, peer: ID, *, limits: Limits) -> None:
        self.peer_id = peer
        self.secured_conn = secured
        self.event_started = trio.Event()
        self.event_closed = trio.Event()
        self.on_close: Callable[[], Awaitable[None]] | None = None  # libp2p sets it; accept_stream tells it as well
        self.reason = ""
        self._limits = limits
        self._initiator = secured.is_initiator
        self._session = Session(initiator=secured.is_initiator, limits=limits)
        self._streams: dict[int, MuxedStream] = {}
        self._untaken: deque[MuxedStream] = deque()
        self._untaken_lot = trio.lowlevel.ParkingLot()
        self._open_lot = trio.lowlevel.ParkingLot()
        self._writer_lot = trio.lowlevel.ParkingLot()
        self._room_lot = trio.lowlevel.ParkingLot()
        self._drained = trio.lowlevel.ParkingLot()
        self._sending = False
        self._scope = trio.CancelScope()
        self._liveness: Liveness | None = None
        self._to_look = trio.Event()

    def __repr__(self) -> str:
        state = f"over: {self.reason}" if self.is_closed else f"{len(self._streams)} streams"
        return f"<Muxer {self.peer_id} {state}>"

    # ---- what libp2p asks

    @property
    def is_initiator(self) -> bool:
        """Whether we dialled."""
        return self._initiator

    @property
    def is_established(self) -> bool:
        """Whether streams can be opened."""
        return self.event_started.is_set() and not self.is_closed

    @property
    def is_closed(self) -> bool:
        """Whether the connection is over."""
        return self.event_closed.is_set()

    @property
    def round_trip(self) -> float | None:
        """Seconds that the latest ping took, or None before the first answer."""
        return self._liveness.round_trip if self._liveness else None

    def rtt(self) -> float:
        """Return :attr:`round_trip` as libp2p's own yamux tells it: 0 before the first answer."""
        return self.round_trip or 0.0

    def get_transport_addresses(self) -> list[Multiaddr]:
        """Return where the other side is."""
        return self.secured_conn.get_transport_addresses()

    def get_connection_type(self) -> ConnectionType:
        """Return whether the way is direct or relayed."""
        return self.secured_conn.get_connection_type()

    def get_remote_address(self) -> tuple[str, int] | None:
        """Return the other side's host and port."""
        return self.secured_conn.get_remote_address()

    async def start(self) -> None:
        """Carry the connection until it is over; nothing but cancellation leaves it."""
        try:
            with self._scope:
                self._liveness = Liveness(self._limits, trio.current_time())
                self.reconsider()
                async with trio.open_nursery() as nursery:
                    for task in (self._write, self._read, self._watch):
                        nursery.start_soon(self._until_over, task)
                    self.event_started.set()
        finally:
            self._end("closed")
            self.event_started.set()
            await self._close_socket()

    async def open_stream(self) -> MuxedStream:
        """Open a stream, waiting for a place if all are taken.

        Raises:
            MuxedConnUnavailable: the connection is over, or the other side takes no more streams.

        """
        while not self.is_closed and not self._session.going and not self._session.may_open:
            await self._open_lot.park()
        if self.is_closed or self._session.going:
            raise MuxedConnUnavailable(f"no stream can be opened: {self.reason or 'the other side is going away'}")
        stream = self._keep(self._session.open())
        self.kick()
        return stream

    async def accept_stream(self) -> MuxedStream:
        """Return the next stream that the other side has opened.

        Raises:
            MuxedConnUnavailable: the connection is over.

        """
        while not self._untaken:
            if self.is_closed:
                raise MuxedConnUnavailable(f"the connection is over: {self.reason}")
            await self._untaken_lot.park()
        return self._untaken.popleft()

    async def close(self) -> None:
        """Say goodbye and close; bounded in time, also when the other side does not read."""
        if not self.is_closed:
            self._session.go_away()
            self.kick()
            with trio.move_on_after(_PARTING):
                while self._unsent and self.event_started.is_set() and not self.is_closed:
                    await self._drained.park()
        self._end("closed here")
        await self._close_socket()

    # ---- what streams ask

    @property
    def session(self) -> Session:
        """The state of all streams."""
        return self._session

    def kick(self) -> None:
        """Have what is queued sent, and let waiting openers look again."""
        if self._session.queued:
            self._writer_lot.unpark()
        if self._open_lot and (self._session.may_open or self._session.going):
            self._open_lot.unpark_all()

    async def room(self) -> None:
        """Wait until the socket has taken some of what is queued."""
        if not self.is_closed and self._session.queued >= self._limits.queue:
            await self._room_lot.park()

    def forget(self, stream: MuxedStream) -> None:
        """Drop *stream* when it is over."""
        if stream.state.over and self._streams.pop(stream.stream_id, None) is not None:
            self.reconsider()
            if stream.at_end is not None:
                stream.at_end()

    def reconsider(self) -> None:
        """Listen for silence as closely as the streams that are open need it."""
        close = any(not stream.in_background for stream in self._streams.values())
        if self._liveness is not None and self._liveness.listen(close=close, now=trio.current_time()):
            self._to_look.set()

    # ---- the three tasks

    async def _until_over(self, task: Callable[[], Awaitable[str]]) -> None:
        try:
            reason = await task()
        except WireError as fault:
            reason = str(fault)
            log.info("muxer.refused", peer=str(self.peer_id), reason=reason)
        except Exception as fault:  # noqa: BLE001  # whatever a transport below raises, the connection is what is lost
            reason = f"{type(fault).__name__}: {fault}"
        self._end(reason)

    async def _write(self) -> str:
        session, secured = self._session, self.secured_conn
        while True:
            if not (batch := session.take()):
                self._drained.unpark_all()
                await self._writer_lot.park()
                continue
            self._sending = True
            await secured.write(batch)
            self._sending = False
            if session.queued < self._limits.queue // 2:
                self._room_lot.unpark_all()

    async def _read(self) -> str:
        session, secured = self._session, self.secured_conn
        liveness = cast("Liveness", self._liveness)
        while True:
            data = await secured.read(None)
            if not data:
                return "the other side closed the connection"
            liveness.heard(trio.current_time())
            for event, subject in session.receive(data, len(self._untaken)):
                if isinstance(subject, Stream):
                    self._tell(event, subject)
                elif event is Event.PONG:
                    liveness.answered(subject, trio.current_time())
                elif not session.streams or subject:
                    return f"the other side went away, code {subject}"
            self.kick()

    async def _watch(self) -> str:
        liveness = cast("Liveness", self._liveness)
        while True:
            now = trio.current_time()
            duty, pause = liveness.look(now)
            if duty is Duty.BURY:
                return f"nothing heard for {liveness.silence:g} s"
            if duty is Duty.PING:
                self._session.ping(liveness.number)
            if self._session.going and not self._session.streams:
                return "the other side went away, and no stream is left"
            self._session.sweep(now)
            self.kick()
            self._to_look = trio.Event()
            with trio.move_on_after(pause):
                await self._to_look.wait()

    # ---- bookkeeping

    @property
    def _unsent(self) -> bool:
        return self._sending or self._session.queued > 0

    def _keep(self, state: Stream) -> MuxedStream:
        stream = self._streams[state.id] = MuxedStream(self, state)
        self.reconsider()
        return stream

    def _tell(self, event: Event, state: Stream) -> None:
        if event is Event.OPENED:
            self._untaken.append(self._keep(state))
            self._untaken_lot.unpark()
        elif (stream := self._streams.get(state.id)) is not None:
            stream.wake(reading=event is not Event.GREW, writing=event is not Event.ARRIVED)
            self.forget(stream)

    def _end(self, reason: str) -> None:
        if self.is_closed:
            return
        self.reason = reason
        self.event_closed.set()
        self._session.die()
        for stream in list(self._streams.values()):
            stream.wake(reading=True, writing=True)
        self._streams.clear()
        self._untaken.clear()
        for lot in (self._untaken_lot, self._open_lot, self._room_lot, self._drained):
            lot.unpark_all()
        self._scope.cancel()
        log.debug("muxer.over", peer=str(self.peer_id), reason=reason)

    async def _close_socket(self) -> None:
        with trio.move_on_after(_PARTING, shield=True):
            try:
                await self.secured_conn.close()
            except Exception as fault:  # noqa: BLE001  # it is being thrown away; how it breaks is of no interest
                log.debug("muxer.socket", peer=str(self.peer_id), reason=repr(fault))
