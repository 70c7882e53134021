"""What is carried through a path, whole: four processes and real sockets."""

from __future__ import annotations

import hashlib
import random
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import anyio
import anyio.to_thread
import pytest
from swarmgate.api import Endpoint
from swarmgate.testing.streams import a_closed_port, an_echo
from tls_pairs import is_cut, pair, until

PATIENCE = 20.0


@pytest.fixture
def anyio_backend() -> str:
    """Run on asyncio alone: the contract proves that the loop does not matter."""
    return "asyncio"


@pytest.mark.anyio
async def test_two_hundred_tunnels_at_once() -> None:
    """They are all there at the same time, each with its own bytes."""
    count, back = 200, set[int]()
    async with an_echo() as echo, pair(echo) as held, held.here.reach(held.address) as endpoint:
        everybody = anyio.Event()

        async def talk(number: int) -> None:
            async with await anyio.connect_tcp(endpoint.host, endpoint.port) as stream:
                word = number.to_bytes(4, "big") * 100
                await stream.send(word)
                heard = b""
                while len(heard) < len(word):
                    heard += await stream.receive()
                assert heard == word
                back.add(number)
                if len(back) == count:
                    everybody.set()
                await everybody.wait()
                await stream.send(b"still here")
                assert await stream.receive() == b"still here"

        with anyio.fail_after(PATIENCE):
            async with anyio.create_task_group() as tasks:
                for number in range(count):
                    tasks.start_soon(talk, number)
    assert back == set(range(count))


def pour(sock: socket.socket, seed: int, blocks: int, ended: Callable[[], None]) -> bytes:
    """Send *blocks* of a MiB, no two alike, half-close, and return their hash."""
    body, told = random.Random(seed).randbytes((1 << 20) - 8), hashlib.sha256()
    for number in range(blocks):
        block = number.to_bytes(8, "big") + body
        told.update(block)
        sock.sendall(block)
    sock.shutdown(socket.SHUT_WR)
    ended()
    return told.digest()


def drink(sock: socket.socket) -> bytes:
    """Return the hash of all that comes until the end."""
    heard, buffer = hashlib.sha256(), memoryview(bytearray(1 << 20))
    while count := sock.recv_into(buffer):
        heard.update(buffer[:count])
    return heard.digest()


def both_ways(sock: socket.socket, seed: int, blocks: int) -> tuple[bytes, bytes]:
    """Send and receive at once; return the hashes of what was sent and what came."""
    sent: list[bytes] = []
    with sock:
        thread = threading.Thread(target=lambda: sent.append(pour(sock, seed, blocks, lambda: None)))
        thread.start()
        heard = drink(sock)
        thread.join()
    return sent[0], heard


@pytest.mark.timeout(180)
@pytest.mark.anyio
async def test_a_gigabyte_is_intact_both_ways() -> None:
    """A thousand MiB each way at the same time come out as they went in, to the last byte."""
    found: dict[str, tuple[bytes, bytes]] = {}
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def far_side() -> None:
            found["far"] = both_ways(listening.accept()[0], 1, 1000)

        def near_side(endpoint: Endpoint) -> None:
            found["near"] = both_ways(socket.create_connection((endpoint.host, endpoint.port)), 2, 1000)

        exposed = Endpoint("127.0.0.1", int(listening.getsockname()[1]))
        async with pair(exposed) as held, held.here.reach(held.address) as endpoint, anyio.create_task_group() as tasks:
            tasks.start_soon(anyio.to_thread.run_sync, far_side)
            tasks.start_soon(anyio.to_thread.run_sync, near_side, endpoint)
    assert found["far"] == found["near"][::-1]


@pytest.mark.anyio
async def test_who_does_not_read_is_waited_for() -> None:
    """A receiver that pauses longer than silence may last holds the sender back, is not cut, and gets all of it."""
    go, taken = threading.Event(), threading.Event()
    heard: list[bytes] = []
    sent: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def far_side() -> None:
            accepted, _ = listening.accept()
            with accepted:
                go.wait()
                heard.append(drink(accepted))

        exposed = Endpoint("127.0.0.1", int(listening.getsockname()[1]))
        async with pair(exposed) as held, held.here.reach(held.address) as endpoint, anyio.create_task_group() as tasks:
            tasks.start_soon(anyio.to_thread.run_sync, far_side)
            near = socket.create_connection((endpoint.host, endpoint.port))
            with near:

                def near_side() -> None:
                    sent.append(pour(near, 3, 100, taken.set))

                tasks.start_soon(anyio.to_thread.run_sync, near_side)
                await anyio.sleep(6)  # the fact is about time
                assert not taken.is_set()
                assert all(memory_mb(made.pid) < 150 for made in (held.here, held.far))
                go.set()
                await until(lambda: bool(heard and sent))
    assert heard == sent


def memory_mb(pid: int | None) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def cut_short(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    sock.close()


@pytest.mark.anyio
async def test_a_reset_is_not_an_end() -> None:
    """What is cut behind the tunnel is cut before it, too, and the other way round: a part is not the whole."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        exposed = Endpoint("127.0.0.1", int(listening.getsockname()[1]))
        async with pair(exposed) as held, held.here.reach(held.address) as endpoint:
            async with await anyio.connect_tcp(endpoint.host, endpoint.port) as stream:
                accepted, _ = await anyio.to_thread.run_sync(listening.accept)
                accepted.sendall(b"half of")
                assert await stream.receive() == b"half of"
                cut_short(accepted)
                with anyio.fail_after(1):
                    assert await is_cut(stream)
            near = socket.create_connection((endpoint.host, endpoint.port))
            accepted, _ = await anyio.to_thread.run_sync(listening.accept)
            with accepted:
                near.sendall(b"half of")
                assert accepted.recv(100) == b"half of"
                cut_short(near)
                with pytest.raises(ConnectionResetError):
                    await anyio.to_thread.run_sync(accepted.recv, 100)


@pytest.mark.anyio
async def test_nobody_behind_the_door_cuts_the_connection() -> None:
    """A service that has gone while it is exposed: connections are cut, the path stays for when it is back."""
    with a_closed_port() as nowhere, anyio.fail_after(PATIENCE):
        async with (
            pair(nowhere) as held,
            held.here.reach(held.address) as endpoint,
            await anyio.connect_tcp(endpoint.host, endpoint.port) as stream,
        ):
            assert await is_cut(stream)
