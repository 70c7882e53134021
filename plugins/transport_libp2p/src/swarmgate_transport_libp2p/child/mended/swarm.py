"""py-libp2p's swarm with both ends of a connection's life done anew.

Inbound connections give their place back when they end; a dial tries every address, remembers no failure, and says
what became of each; a stream whose opening was cancelled is not left behind.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, cast

import structlog
import trio
from libp2p.abc import IMuxedConn, INetConn, INetStream, IPeerStore, ISecureConn
from libp2p.connection_types import ConnectionType
from libp2p.io.abc import ReadWriteCloser
from libp2p.network.auto_connector import AutoConnector
from libp2p.network.config import ConnectionConfig
from libp2p.network.connection.raw_connection import RawConnection
from libp2p.network.exceptions import SwarmDialAllFailedError, SwarmException
from libp2p.network.swarm import Swarm
from libp2p.peer.id import ID
from libp2p.peer.peerstore import PeerStoreError
from libp2p.stream_muxer.muxer_multistream import MuxerMultistream
from libp2p.transport.upgrader import TransportUpgrader
from multiaddr import Multiaddr
from swarmgate.api import ConfigError

from swarmgate_transport_libp2p.child.mended.dialing import in_order, reason_of
from swarmgate_transport_libp2p.child.mended.limits import Limits
from swarmgate_transport_libp2p.child.mended.muxer import Muxer
from swarmgate_transport_libp2p.child.mended.noise import Noise
from swarmgate_transport_libp2p.child.mended.stream import MuxedStream
from swarmgate_transport_libp2p.child.mended.tcp import BufferedTCP

if TYPE_CHECKING:
    from libp2p.network.connection.swarm_connection import SwarmConn

log = structlog.get_logger("swarmgate.libp2p")

NOISE = "/noise"
YAMUX = "/yamux/1.0.0"
#: Seconds that one address has for itself before the next one is tried beside it.
_HEAD_START = 0.15
_NEVER = 1e9


class _Multiplexing(MuxerMultistream):
    """Agrees on yamux, and makes it ours: py-libp2p takes its own class by name, whatever it was given."""

    def __init__(self, limits: Limits) -> None:
        super().__init__({YAMUX: Muxer}, int(limits.upgrade) or 1)  # pyright: ignore[reportArgumentType]  # TProtocol is a str
        self._limits = limits

    async def new_conn(self, conn: ISecureConn, peer_id: ID) -> IMuxedConn:
        protocol, _ = await self._selector.select(conn, conn.is_initiator, self.negotiate_timeout)
        return self._annotate_connection(Muxer(conn, peer_id, limits=self._limits), conn, protocol)


class _Upgrader(TransportUpgrader):
    def __init__(self, noise: Noise, limits: Limits) -> None:
        super().__init__({NOISE: noise}, {})  # pyright: ignore[reportArgumentType]  # TProtocol is a str
        self.muxer_multistream = _Multiplexing(limits)


class _Idle(AutoConnector):
    """Dials nobody: who is connected to whom is for the swarm's redialling to say."""

    async def run_background_task(self, nursery: trio.Nursery) -> None:
        """Start nothing."""

    async def maybe_connect(self) -> None:
        """Connect to nobody."""


class MendedSwarm(Swarm):
    """A swarm over TCP, Noise and our yamux."""

    def __init__(self, peer_id: ID, peerstore: IPeerStore, noise: Noise, *, limits: Limits, shared_port: bool) -> None:
        config = ConnectionConfig(
            max_connections=limits.connections,
            min_connections=0,
            low_watermark=0,
            high_watermark=limits.connections,
            auto_connect_interval=_NEVER,
            inbound_upgrade_timeout=limits.upgrade,
            outbound_upgrade_timeout=limits.upgrade,
            outbound_stream_protocol_negotiation_timeout=limits.upgrade,
            inbound_stream_protocol_negotiation_timeout=limits.upgrade,
        )
        upgrader = _Upgrader(noise, limits)
        super().__init__(peer_id, peerstore, upgrader, [BufferedTCP(shared=shared_port)], connection_config=config)
        self.auto_connector = _Idle(self)
        self._limits = limits
        self._newcomers = 0

    # ---- listening

    async def listen(self, *multiaddrs: Multiaddr) -> bool:
        """Listen on each address.

        Raises:
            ConfigError: one of them is taken, or is not of a kind we listen on.

        """
        await self.event_background_nursery_created.wait()
        for maddr in multiaddrs:
            handler = partial(self._handle_inbound_connection, maddr=maddr)
            listener = self.transport_manager.add_listen_addr(maddr, handler)
            if listener is None:
                raise ConfigError(f"cannot listen on {maddr}: expected an address such as /ip4/0.0.0.0/tcp/4001")
            listener.background_nursery = self.background_nursery  # pyright: ignore[reportAttributeAccessIssue]  # as libp2p does it
            await listener.listen(maddr)
            self.listeners[str(maddr)] = listener
            await self.notify_listen(maddr)
        return bool(multiaddrs)

    async def _handle_inbound_connection(self, read_write_closer: ReadWriteCloser, maddr: Multiaddr) -> None:
        """Carry an inbound connection to its end; its place is free again then."""
        limits = self._limits
        if self._newcomers >= limits.handshakes or self.get_total_connections() >= limits.connections:
            log.info("swarm.full", newcomers=self._newcomers, connections=self.get_total_connections())
            await read_write_closer.close()
            return
        raw = RawConnection(read_write_closer, False)
        self._newcomers += 1
        try:
            muxed = await self.upgrade_inbound_raw_conn(raw, maddr)
        except Exception as fault:  # noqa: BLE001  # what a stranger sends may break anything, and costs only his connection
            log.debug("swarm.refused", reason=reason_of(fault))
            await raw.close()
            return
        finally:
            self._newcomers -= 1
        await cast("Muxer", muxed).event_closed.wait()

    # ---- dialling

    async def dial_peer(self, peer_id: ID) -> list[INetConn]:
        """Return the connections to *peer_id*, after dialling it if there is none.

        Raises:
            SwarmException: no address is known, or none answered; the message says what each did.

        """
        while True:
            if live := self._filter_valid_connections(self.get_connections(peer_id)):
                return live
            if (under_way := self._ongoing_dials.get(peer_id)) is None:
                break
            await under_way.wait()
        done = self._ongoing_dials[peer_id] = trio.Event()
        try:
            return [await self._race(peer_id, self._candidates(peer_id))]
        finally:
            done.set()
            self._ongoing_dials.pop(peer_id, None)

    async def dial_addr(self, addr: Multiaddr, peer_id: ID, source: tuple[str, int] | None = None) -> INetConn:
        """Connect to *peer_id* at *addr*, once and within the time for one address.

        Raises:
            SwarmException: there was no answer, or not this peer's; what a notifee raises comes through.

        """
        try:
            with trio.fail_after(self._limits.dial):
                return await self._dial_addr_single_attempt(addr, peer_id, source)
        except trio.TooSlowError:
            raise SwarmException(f"no answer within {self._limits.dial:g} s") from None
        except SwarmException as fault:
            raise SwarmException(reason_of(fault)) from fault

    async def dial_addr_as_responder(
        self, addr: Multiaddr, peer_id: ID, source: tuple[str, int] | None = None
    ) -> INetConn:
        """Connect as :meth:`dial_addr` does, but as the one that was dialled: the other side dials us at this moment.

        Raises:
            SwarmException: there was no answer, or not this peer's.

        """
        try:
            with trio.fail_after(self._limits.dial):
                return await super().dial_addr_as_responder(addr, peer_id, source)
        except trio.TooSlowError:
            raise SwarmException(f"no answer within {self._limits.dial:g} s") from None
        except SwarmException as fault:
            raise SwarmException(reason_of(fault)) from fault

    def _candidates(self, peer_id: ID) -> list[str]:
        if peer_id == self.self_id:
            raise SwarmException("this node does not dial itself")
        try:
            known = self.peerstore.addrs(peer_id)
        except PeerStoreError as fault:
            raise SwarmException(f"no address of {peer_id} is known") from fault
        if not (addresses := in_order(map(str, known), self._limits.addresses)):
            raise SwarmException(
                f"no address of {peer_id} can be dialled: {', '.join(map(str, known)) or 'none known'}"
            )
        return addresses

    async def _race(self, peer_id: ID, addresses: list[str]) -> INetConn:
        """Try one address after the other, each with a little head start; the first to connect wins."""
        connected: list[INetConn] = []
        faults: list[str] = []

        async def attempt(address: str, failed: trio.Event) -> None:
            try:
                async with self._global_dial_limiter:
                    connected.append(await self.dial_addr(Multiaddr(address), peer_id))
            except Exception as fault:  # noqa: BLE001  # what an address leads to may do anything; the next one is tried
                faults.append(f"{address}: {reason_of(fault)}")
            else:
                nursery.cancel_scope.cancel()
            failed.set()

        async with trio.open_nursery() as nursery:
            for address in addresses:
                failed = trio.Event()
                nursery.start_soon(attempt, address, failed)
                with trio.move_on_after(_HEAD_START):
                    await failed.wait()
        if not connected:
            raise SwarmDialAllFailedError("; ".join(faults), peer_id=peer_id, num_addrs_tried=len(addresses))
        for surplus in connected[1:]:
            await surplus.close()
        return connected[0]

    def _schedule_auto_connect(self) -> None:
        """Connect to nobody when a connection ends."""

    # ---- of several connections to one peer

    def twins(self) -> list[INetConn]:
        """Return the connections that are one too many: two have dialled each other at the same moment."""
        spare: list[INetConn] = []
        for peer_id, connections in self.connections.items():
            if len(connections) > 1 and (agreed := self._agreed(connections, peer_id)):
                spare += [each for each in connections if each not in agreed and not _is_relayed(each)]
        return spare

    def _select_connection(self, connections: list[INetConn], peer_id: ID) -> INetConn:
        """Choose the connection for a stream: one that the other side would choose too, so that its twin falls idle."""
        return super()._select_connection(self._agreed(connections, peer_id) or connections, peer_id)

    def _agreed(self, connections: list[INetConn], peer_id: ID) -> list[INetConn]:
        """Return the direct ones that were dialled by whoever has the lesser id."""
        ours = self.self_id.to_bytes() < peer_id.to_bytes()
        return [each for each in connections if each.muxed_conn.is_initiator == ours and not _is_relayed(each)]

    # ---- streams

    async def _open_stream_on_connection(
        self, connection: INetConn, connections: list[INetConn], peer_id: ID
    ) -> INetStream:
        """Open a stream on *connection*, or else on another; none is left behind when this is cancelled."""
        fault: Exception | None = None
        for candidate in (connection, *(other for other in connections if other is not connection)):
            conn = cast("SwarmConn", candidate)
            try:
                muxed = await cast("Muxer", conn.muxed_conn).open_stream()
            except Exception as error:  # noqa: BLE001  # another connection may do
                fault = error
                continue
            muxed.at_end = partial(self._forget, conn, muxed)
            try:
                return await conn._add_stream(muxed)  # noqa: SLF001  # what their new_stream does, which leaks when cancelled  # pyright: ignore[reportPrivateUsage]
            except BaseException:
                muxed.abort()
                raise
        raise SwarmException(f"no stream to {peer_id} can be opened: {fault}") from fault

    @staticmethod
    def _forget(conn: SwarmConn, muxed: MuxedStream) -> None:
        """Take *muxed* from the books: libp2p does so only when nobody cancels its closing."""
        for stream in conn.get_streams():
            if stream.muxed_stream is muxed:
                conn.remove_stream(stream)

    async def close(self) -> None:
        """Close all connections at once, and then the rest; py-libp2p closes one after the other."""
        async with trio.open_nursery() as nursery:
            for connection in self.get_connections():
                nursery.start_soon(self._close_connection_async, connection)
        await super().close()


def _is_relayed(connection: INetConn) -> bool:
    return connection.get_connection_type() is ConnectionType.RELAYED
