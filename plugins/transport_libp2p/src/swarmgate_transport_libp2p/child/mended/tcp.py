"""TCP for libp2p: buffered reads, sockets that tell of death, and ports that are nobody else's."""

from __future__ import annotations

import errno
import socket
from typing import Protocol, cast

import trio
from libp2p.abc import IListener
from libp2p.custom_types import THandler
from libp2p.io.exceptions import ConnectionClosedError
from libp2p.io.trio import TrioTCPStream
from libp2p.network.connection.raw_connection import RawConnection
from libp2p.transport.tcp.tcp import TCP
from libp2p.utils.multiaddr_utils import extract_ip_from_multiaddr, multiaddr_from_socket
from multiaddr import Multiaddr
from swarmgate.api import ConfigError

_BUFFER = 256 * 1024
_UNACKNOWLEDGED_MS = 10_000
_KEEPALIVE = (("TCP_KEEPIDLE", 5), ("TCP_KEEPINTVL", 2), ("TCP_KEEPCNT", 2), ("TCP_USER_TIMEOUT", _UNACKNOWLEDGED_MS))
_WAITING = 128


class _Carrier(Protocol):
    """A raw connection, as far as its stream may be exchanged before it is used."""

    stream: TrioTCPStream


class BufferedStream(TrioTCPStream):
    """A socket read by 256 KiB, from which small reads are served."""

    def __init__(self, stream: trio.SocketStream) -> None:
        super().__init__(stream)
        self._left = memoryview(b"")
        self._settle(stream.socket)

    async def read(self, n: int | None = None) -> bytes:
        """Return 1 to *n* bytes (without *n*, all that is there); empty at the end.

        Raises:
            ConnectionClosedError: the connection was reset.

        """
        if n == 0:
            return b""
        async with self.read_lock:
            if not self._left:
                try:
                    self._left = memoryview(await self.stream.receive_some(_BUFFER))
                except trio.BrokenResourceError as fault:
                    raise ConnectionClosedError(f"the connection was reset: {fault}", transport="tcp") from fault
                except trio.ClosedResourceError:
                    return b""
            taken = self._left if n is None else self._left[:n]
            self._left = self._left[len(taken) :]
            return bytes(taken)

    def get_remote_address(self) -> tuple[str, int] | None:
        """Return the other side's host and port, of IPv6 as well."""
        if self._cached_remote_address is None:
            try:
                host, port = self.stream.socket.getpeername()[:2]
            except OSError:
                return None
            self._cached_remote_address = (str(host), int(port))
        return self._cached_remote_address

    @staticmethod
    def _settle(sock: trio.socket.SocketType) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in _KEEPALIVE:
            if hasattr(socket, name):  # not every system has each
                sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


class Listener(IListener):
    """Sockets that listen; their port is bound for this process alone."""

    def __init__(self, handler: THandler, *, shared: bool) -> None:
        self._handler = handler
        self._shared = shared
        self._listeners: list[trio.SocketListener] = []
        self._scope = trio.CancelScope()
        self.background_nursery: trio.Nursery | None = None  # the swarm sets it

    async def listen(self, maddr: Multiaddr) -> None:
        """Listen on *maddr*; connections come once this returns.

        Raises:
            ConfigError: the address is taken, or is not this machine's.

        """
        if self.background_nursery is None:
            raise RuntimeError("the swarm is not running yet")
        host, port = extract_ip_from_multiaddr(maddr), maddr.value_for_protocol("tcp")
        if host is None or port is None:
            raise ConfigError(f"cannot listen on {maddr}: expected an address such as /ip4/0.0.0.0/tcp/4001")
        listener = await self._bind(maddr, host, int(port))
        self._listeners.append(listener)
        self.background_nursery.start_soon(self._serve, listener, self.background_nursery)

    def get_addrs(self) -> tuple[Multiaddr, ...]:
        """Return where it listens."""
        return tuple(multiaddr_from_socket(listener.socket) for listener in self._listeners)

    async def close(self) -> None:
        """Stop listening; connections stay."""
        self._scope.cancel()
        for listener in self._listeners:
            listener.socket.close()
        self._listeners.clear()
        await trio.lowlevel.checkpoint()

    async def _serve(self, listener: trio.SocketListener, connections: trio.Nursery) -> None:
        with self._scope:
            try:
                await trio.serve_listeners(self._accept, [listener], handler_nursery=connections)
            except trio.ClosedResourceError:
                return  # closed before it was served

    async def _accept(self, stream: trio.SocketStream) -> None:
        try:
            await self._handler(BufferedStream(stream))
        except OSError:  # it was gone before it was settled
            stream.socket.close()

    async def _bind(self, maddr: Multiaddr, host: str, port: int) -> trio.SocketListener:
        six = ":" in host
        try:
            sock = trio.socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_STREAM)
        except OSError as fault:  # this machine knows no such family
            raise ConfigError(f"cannot listen on {maddr}: {fault.strerror or fault}") from fault
        try:
            if six:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            await sock.bind((host, port))
            sock.listen(_WAITING)
            if self._shared and hasattr(socket, "SO_REUSEPORT"):
                # After binding: the kernel has refused a port that is taken, and lets us dial from ours all the same.
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        except OSError as fault:
            sock.close()
            taken = "something listens there already; choose another port" if fault.errno == errno.EADDRINUSE else ""
            raise ConfigError(f"cannot listen on {maddr}: {taken or fault.strerror or fault}") from fault
        return trio.SocketListener(sock)


class BufferedTCP(TCP):
    """py-libp2p's TCP with :class:`BufferedStream` and :class:`Listener`.

    With *shared*, dials for hole punching may leave from the port that we listen on.
    """

    def __init__(self, *, shared: bool = False) -> None:
        super().__init__()
        self._shared = shared

    async def _dial_resolved(self, maddr: Multiaddr, source: tuple[str, int] | None = None) -> RawConnection:
        raw = cast("RawConnection", await super()._dial_resolved(maddr, source))
        carrier = cast("_Carrier", raw)
        carrier.stream = BufferedStream(carrier.stream.stream)
        return raw

    def create_listener(self, handler_function: THandler) -> Listener:  # pyright: ignore[reportIncompatibleMethodOverride]  # theirs promises its own class where the interface asks an IListener
        """Return a listener for *handler_function*."""
        return Listener(handler_function, shared=self._shared)
