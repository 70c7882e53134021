from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
import trio
from swarmgate.api import ConfigError

pytestmark = [pytest.mark.anyio, pytest.mark.swarm, pytest.mark.usefixtures("_libp2p")]
Opens = Callable[..., AbstractAsyncContextManager[Any]]


async def _sockets(host: str = "127.0.0.1") -> tuple[trio.SocketStream, trio.SocketStream]:
    [listener] = await trio.open_tcp_listeners(0, host=host)
    async with listener:
        near = await trio.open_tcp_stream(host, listener.socket.getsockname()[1])
        return near, await listener.accept()


async def test_a_taken_port_is_refused(kind: str, opens: Opens, ends: Any) -> None:
    """A second host on one port is told so; libp2p's own shares it without a word, and each gets half of the peers."""
    async with opens() as first:
        address = f"/ip4/127.0.0.1/tcp/{ends.port(first)}"
        if kind == "vanilla":
            async with opens(address) as second:
                assert ends.port(second) == ends.port(first)
        else:
            with pytest.raises(ConfigError, match=rf"cannot listen on {address}: something listens there already"):
                async with opens(address):
                    pass


@pytest.mark.parametrize("shared", [False, True])
async def test_the_port_is_free_again_afterwards(shared: bool, mended: Opens, ends: Any) -> None:
    """A host that is left can be opened on its port again at once, though it had connections."""
    async with mended() as client:
        async with mended(shared_port=shared) as server:
            address = f"/ip4/127.0.0.1/tcp/{ends.port(server)}"
            await ends.join(client, server)
        async with mended(address, shared_port=shared) as server:
            await ends.join(client, server)


async def test_a_shared_port_is_still_ours_alone(mended: Opens, ends: Any) -> None:
    """Dials may leave from a port kept open for hole punching, and still no second host gets it."""
    async with mended(shared_port=True) as first:
        port = ends.port(first)
        with socket.socket() as dialler:
            dialler.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            dialler.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            dialler.bind(("127.0.0.1", port))
        with pytest.raises(ConfigError, match="something listens there already"):
            async with mended(f"/ip4/127.0.0.1/tcp/{port}", shared_port=True):
                pass


@pytest.mark.parametrize("address", ["/ip4/127.0.0.1/udp/4001/quic-v1", "/ip4/192.0.2.1/tcp/0"])
async def test_addresses_that_cannot_be_are_refused(address: str, mended: Opens) -> None:
    """Another transport, or an address that is not this machine's, is named in the error."""
    with pytest.raises(ConfigError, match=f"cannot listen on {address}"):
        async with mended(address):
            pass


async def test_reads_are_served_from_one_buffer() -> None:
    """Small reads take what one large read of the socket brought, in order; a read without a size takes the rest."""
    from swarmgate_transport_libp2p.child.mended.tcp import BufferedStream

    near, far = await _sockets()
    async with near, far:
        stream = BufferedStream(far)
        await near.send_all(b"0123456789")
        assert await stream.read(2) == b"01"
        assert await stream.read(0) == b""
        assert await stream.read(3) == b"234"
        assert await stream.read(None) == b"56789"
        await near.aclose()
        assert await stream.read(5) == b""


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_the_other_sides_address_is_known(host: str) -> None:
    """Host and port of the other side are told for IPv4 and IPv6; libp2p's own knows only the former."""
    from libp2p.io.trio import TrioTCPStream
    from swarmgate_transport_libp2p.child.mended.tcp import BufferedStream

    near, far = await _sockets(host)
    async with near, far:
        expected = near.socket.getsockname()[:2]
        assert BufferedStream(far).get_remote_address() == expected
        assert TrioTCPStream(far).get_remote_address() == (expected if host == "127.0.0.1" else None)


async def test_sockets_tell_of_death() -> None:
    """Small writes are not held back, and the kernel looks after a connection that nobody uses."""
    from swarmgate_transport_libp2p.child.mended.tcp import BufferedStream

    near, far = await _sockets()
    async with near, far:
        BufferedStream(far)
        assert far.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert far.socket.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


async def test_a_reset_is_an_error() -> None:
    """A connection that was reset raises; only one that was closed reads as the end."""
    from libp2p.io.exceptions import ConnectionClosedError
    from swarmgate_transport_libp2p.child.mended.tcp import BufferedStream

    near, far = await _sockets()
    async with far:
        near.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        near.socket.close()
        with pytest.raises(ConnectionClosedError):
            await BufferedStream(far).read(1)
