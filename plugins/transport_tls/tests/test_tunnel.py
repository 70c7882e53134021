"""The carrying itself, between sockets of this process and with TLS on both sides."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from swarmgate.testing import a_swarm
from swarmgate_transport_tls.child.credentials import Credentials
from swarmgate_transport_tls.child.secured import secured
from swarmgate_transport_tls.child.sockets import tune
from swarmgate_transport_tls.child.tunnel import CHUNK, Scratch, Tunnel

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """Run on asyncio alone, as the child does."""
    return "asyncio"


@dataclass
class Whole:
    """Two tunnels, one at each end of a TLS connection, and the sockets before and behind them."""

    near: socket.socket
    far: socket.socket
    tunnels: tuple[Tunnel, Tunnel]
    middle: tuple[socket.socket, socket.socket]
    ended: list[Tunnel] = field(default_factory=list[Tunnel])


async def tcp_pair() -> tuple[socket.socket, socket.socket]:
    """Return two ends of a TCP connection."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        one = socket.create_connection(listening.getsockname())
        other, _ = listening.accept()
    tune(one)
    tune(other)
    return one, other


@asynccontextmanager
async def a_tunnel() -> AsyncGenerator[Whole]:
    """Hold both halves of a tunnel."""
    one, other = map(Credentials, a_swarm())
    (near, inner), (behind, far), (left, right) = [await tcp_pair() for _ in range(3)]
    client, server = secured(left, one, server=False), secured(right, other, server=True)
    await asyncio.gather(client.shake_hands(), server.shake_hands())
    ended: list[Tunnel] = []
    scratch = Scratch()
    tunnels = Tunnel(inner, client, scratch, ended.append), Tunnel(behind, server, scratch, ended.append)
    for tunnel in tunnels:
        tunnel.begin()
    try:
        yield Whole(near, far, tunnels, (left, right), ended)
    finally:
        for tunnel in tunnels:
            tunnel.cut()
        near.close()
        far.close()


async def exactly(sock: socket.socket, count: int) -> bytes:
    loop, data = asyncio.get_running_loop(), b""
    async with asyncio.timeout(10):
        while len(data) < count and (piece := await loop.sock_recv(sock, count - len(data))):
            data += piece
    return data


async def until_ended(whole: Whole) -> None:
    async with asyncio.timeout(10):
        while len(whole.ended) < 2:  # noqa: ASYNC110  # two callbacks in a list
            await asyncio.sleep(0.001)


async def test_each_direction_has_its_own_end() -> None:
    """One side says all it has to say, the other answers for a while after, and then everything is closed in order."""
    loop = asyncio.get_running_loop()
    async with a_tunnel() as whole:
        await loop.sock_sendall(whole.near, b"question")
        whole.near.shutdown(socket.SHUT_WR)
        assert await exactly(whole.far, 100) == b"question"
        for _ in range(3):
            await loop.sock_sendall(whole.far, b"answer")
            assert await exactly(whole.near, 6) == b"answer"
        assert whole.ended == []
        whole.far.shutdown(socket.SHUT_WR)
        assert await exactly(whole.near, 100) == b""
        await until_ended(whole)


@pytest.mark.parametrize("size", [1, CHUNK - 5, CHUNK - 4, CHUNK - 3, CHUNK, 5 * CHUNK + 1])
async def test_sizes_at_the_borders_pass(size: int) -> None:
    """A byte more or less than fits into one piece, or one record, makes no difference."""
    loop, data = asyncio.get_running_loop(), bytes(range(251)) * (size // 251 + 1)
    async with a_tunnel() as whole:
        sending = asyncio.ensure_future(loop.sock_sendall(whole.near, data[:size]))
        assert await exactly(whole.far, size) == data[:size]
        await sending


async def test_who_does_not_read_holds_the_sender_back() -> None:
    """A tunnel keeps no more than a buffer's worth each way: the sender waits, and then everything comes."""
    loop, data = asyncio.get_running_loop(), bytes(range(251)) * (1 << 17)
    async with a_tunnel() as whole:
        sending = asyncio.ensure_future(loop.sock_sendall(whole.near, data))
        done, _ = await asyncio.wait({sending}, timeout=0.5)
        assert not done
        for tunnel in whole.tunnels:
            assert len(tunnel._leaving) <= CHUNK + (1 << 13)  # pyright: ignore[reportPrivateUsage]  # the fact
            assert len(tunnel._arriving) <= CHUNK + (1 << 15)  # pyright: ignore[reportPrivateUsage]  # likewise
        assert await exactly(whole.far, len(data)) == data
        await sending


@pytest.mark.parametrize("which", [0, 1])
async def test_a_connection_that_ends_without_the_word_is_cut(which: int) -> None:
    """TLS that just stops, as when a process dies, resets both local sides: nobody takes a part for the whole."""
    loop = asyncio.get_running_loop()
    async with a_tunnel() as whole:
        await loop.sock_sendall(whole.near, b"half of")
        assert await exactly(whole.far, 7) == b"half of"
        whole.middle[which].shutdown(socket.SHUT_WR)
        for side in (whole.near, whole.far):
            with pytest.raises(ConnectionResetError):
                await exactly(side, 1)
        await until_ended(whole)


async def test_what_was_changed_on_the_way_cuts() -> None:
    """Bytes that are not the other side's end the tunnel."""
    loop = asyncio.get_running_loop()
    async with a_tunnel() as whole:
        await loop.sock_sendall(whole.middle[0], b"\x17\x03\x03\x00\x20" + bytes(32))
        with pytest.raises(ConnectionResetError):
            await exactly(whole.far, 1)


async def test_cutting_twice_is_once() -> None:
    """Whoever holds a tunnel hears of its end exactly once."""
    async with a_tunnel() as whole:
        whole.tunnels[0].cut()
        whole.tunnels[0].cut()
        await until_ended(whole)
        assert sorted(map(id, whole.ended)) == sorted(map(id, whole.tunnels))
