from __future__ import annotations

import asyncio
import socket
import subprocess
import sys

import pytest
from swarmgate_transport_tls.child import sockets
from swarmgate_transport_tls.child.sockets import close_softly, dial, expect_answers, listen, reason, reset, tune

_LOOPBACK = "127.0.0.1"


@pytest.fixture
def anyio_backend() -> str:
    """Run on asyncio alone, as the child does."""
    return "asyncio"


def connected() -> tuple[socket.socket, socket.socket]:
    with socket.create_server((_LOOPBACK, 0)) as listening:
        one = socket.create_connection(listening.getsockname())
        return one, listening.accept()[0]


def test_a_tuned_socket_does_not_wait_for_more() -> None:
    """Small words go out at once, and the kernel asks for silent peers; only control connections give up soon."""
    one, other = connected()
    with one, other:
        tune(one)
        assert one.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert one.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert one.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 0
        assert not one.getblocking()
        expect_answers(one, 4.0)
        assert one.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 4000


def test_a_reset_is_told_as_such() -> None:
    """The other side gets an error, and no end."""
    one, other = connected()
    with other:
        reset(one)
        with pytest.raises(ConnectionResetError):
            other.recv(1)


def test_a_killed_process_cuts() -> None:
    """The kernel closes its sockets as we would have: as cut."""
    script = """
import os, signal, socket, sys
from swarmgate_transport_tls.child.sockets import cut_by_default
held = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
cut_by_default(held)
held.sendall(b"x")
signal.pause()
"""
    with socket.create_server((_LOOPBACK, 0)) as listening:
        started = subprocess.Popen([sys.executable, "-c", script, str(listening.getsockname()[1])])
        accepted, _ = listening.accept()
        with accepted, started:
            assert accepted.recv(1) == b"x"
            started.kill()
            with pytest.raises(ConnectionResetError):
                accepted.recv(1)


def test_an_end_delivers_what_was_said_last() -> None:
    """Also of a socket that would have been cut: its last words arrive, and then the end."""
    one, other = connected()
    with other:
        sockets.cut_by_default(one)
        one.sendall(b"x" * 50_000)
        one.shutdown(socket.SHUT_WR)
        sockets.end(one)
        heard = b""
        while piece := other.recv(1 << 16):
            heard += piece
        assert len(heard) == 50_000


@pytest.mark.anyio
async def test_a_refusal_arrives_though_more_was_said() -> None:
    """Closed with something unread, a socket would take its own last words back."""
    loop = asyncio.get_running_loop()
    one, other = connected()
    with other:
        tune(one)
        other.setblocking(False)
        await loop.sock_sendall(other, b"y" * 10_000)
        await loop.sock_sendall(one, b"no")
        closing = asyncio.ensure_future(close_softly(one))
        assert await loop.sock_recv(other, 10) == b"no"
        assert await loop.sock_recv(other, 10) == b""
        other.shutdown(socket.SHUT_WR)
        await closing


@pytest.mark.anyio
async def test_nobody_there_is_the_systems_word() -> None:
    """The reason is what the system says, in lower case."""
    with socket.socket() as held:
        held.bind((_LOOPBACK, 0))
        with pytest.raises(OSError, match=r".") as caught:
            await dial(_LOOPBACK, held.getsockname()[1])
        assert reason(caught.value) == "connection refused"
    assert reason(TimeoutError()) == "no answer in time"
    assert reason(OSError("just so")) == "just so"


def test_all_addresses_of_a_name_get_one_port() -> None:
    """Where any port will do, the name still has one."""
    opened = listen("localhost", 0)
    try:
        assert len({sock.getsockname()[1] for sock in opened}) == 1
    finally:
        for sock in opened:
            sock.close()


def test_a_taken_port_is_refused() -> None:
    """Nothing stays open of an attempt that failed."""
    with socket.create_server((_LOOPBACK, 0)) as held, pytest.raises(OSError, match="in use"):
        listen(_LOOPBACK, held.getsockname()[1])
