"""Processes that are killed while tunnels stand."""

from __future__ import annotations

import socket

import anyio
import anyio.to_thread
import pytest
from swarmgate.api import Endpoint
from swarmgate.testing.streams import an_echo, converse
from tls_pairs import is_cut, kill, pair, until, until_listening

PATIENCE = 20.0


@pytest.fixture
def anyio_backend() -> str:
    """Run on asyncio alone: the contract proves that the loop does not matter."""
    return "asyncio"


@pytest.mark.parametrize("side", ["far", "here"])
@pytest.mark.anyio
async def test_a_killed_child_costs_its_tunnels_and_no_more(side: str) -> None:
    """Tunnels are cut within a second on both sides; the listeners come back at the same ports, and the path works."""
    async with an_echo() as echo, pair(echo) as held, held.here.reach(held.address) as endpoint:
        async with await anyio.connect_tcp(endpoint.host, endpoint.port) as stream:
            await stream.send(b"hello")
            assert await stream.receive() == b"hello"
            victim = held.far if side == "far" else held.here
            pid = kill(victim)
            with anyio.fail_after(1):
                assert await is_cut(stream)
        await until(lambda: bool(held.here.ways()[0].reason))
        await until(lambda: victim.pid not in {None, pid})
        await until_listening(held)
        await until(lambda: not held.here.ways()[0].reason and held.here.ways()[0].rtt_seconds is not None)
        with anyio.fail_after(PATIENCE):
            assert await converse(endpoint, b"again") == b"again"


@pytest.mark.anyio
async def test_who_is_told_of_a_death_behind_it() -> None:
    """The service's own side is cut, too, when the caller's process dies: it need not wait for nobody."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        exposed = Endpoint("127.0.0.1", int(listening.getsockname()[1]))
        async with (
            pair(exposed) as held,
            held.here.reach(held.address) as endpoint,
            await anyio.connect_tcp(endpoint.host, endpoint.port) as stream,
        ):
            accepted, _ = await anyio.to_thread.run_sync(listening.accept)
            with accepted:
                await stream.send(b"hello")
                assert accepted.recv(100) == b"hello"
                accepted.settimeout(1)
                kill(held.here)
                with pytest.raises(ConnectionResetError):
                    await anyio.to_thread.run_sync(accepted.recv, 100)
