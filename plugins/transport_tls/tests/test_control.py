from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

import pytest
from swarmgate.api import WireError, encode_frame
from swarmgate.testing import a_swarm
from swarmgate_transport_tls.child import control
from swarmgate_transport_tls.child.control import Control
from swarmgate_transport_tls.child.credentials import Credentials
from swarmgate_transport_tls.child.secured import Secured, secured
from swarmgate_transport_tls.child.sockets import tune
from swarmgate_transport_tls.child.words import Bye, Hello, Ping

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """Run on asyncio alone, as the child does."""
    return "asyncio"


@asynccontextmanager
async def connected() -> AsyncGenerator[tuple[Secured, Secured]]:
    """Hold both ends of a connection between two members."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        one = socket.create_connection(listening.getsockname())
        other, _ = listening.accept()
    tune(one)
    tune(other)
    here, there = map(Credentials, a_swarm())
    client, server = secured(one, here, server=False), secured(other, there, server=True)
    await asyncio.gather(client.shake_hands(), server.shake_hands())
    with one, other:
        yield client, server


def held(
    connection: Secured,
    *,
    asks: bool,
    measured: Callable[[float], None] = lambda _: None,
    still_good: Callable[[], object] = lambda: None,
) -> tuple[Control, asyncio.Task[str]]:
    made = Control(connection, asks=asks, measured=measured, still_good=still_good)
    return made, asyncio.ensure_future(made.hold())


async def test_round_trips_are_measured_at_once_and_by_who_asks() -> None:
    """The first ping goes out before anybody waits a second; an end is told to the other side, with the reason."""
    loop = asyncio.get_running_loop()
    async with connected() as (client, server), asyncio.timeout(10):
        first: asyncio.Future[float] = loop.create_future()
        here, holding = held(client, asks=True, measured=first.set_result)
        _, there = held(server, asks=False, measured=lambda _: pytest.fail("it did not ask"))
        assert 0 < await first < 1
        here.end("enough")
        assert await holding == "enough"
        assert await there == "it ended the connection: enough"


async def test_silence_ends_it_on_both_sides(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asks and who answers both notice that nothing comes, though the connection itself stands."""
    monkeypatch.setattr(control, "TICK_SECONDS", 0.02)
    for asks in (True, False):
        async with connected() as (client, _), asyncio.timeout(10):
            _, holding = held(client, asks=asks)
            assert (await holding).startswith("no word from it for")


async def test_who_may_no_longer_be_here_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Certificates end while connections stand: each tick looks."""
    monkeypatch.setattr(control, "TICK_SECONDS", 0.02)

    def ended() -> None:
        raise WireError("the certificate has ended")

    async with connected() as (client, server), asyncio.timeout(10):
        _, holding = held(client, asks=True, still_good=ended)
        _, there = held(server, asks=False)
        assert await holding == "the certificate has ended"
        assert await there == "it ended the connection: the certificate has ended"


async def test_another_word_ends_it() -> None:
    """Whatever breaks the protocol, or stops in the middle."""
    async with connected() as (client, server), asyncio.timeout(10):
        _, holding = held(client, asks=True)
        await server.say(Hello(version=1, purpose="control", service="x", session=b""))
        assert "breaks the protocol" in await holding
    async with connected() as (client, server), asyncio.timeout(10):
        _, holding = held(client, asks=True)
        server.sock.sendall(b"\x17\x03\x03")
        server.sock.close()
        assert await holding in {"it has gone", "the connection is lost: connection reset by peer"}


async def test_words_are_read_one_by_one() -> None:
    """Two words in one packet are two words."""
    async with connected() as (client, server), asyncio.timeout(10):
        _, holding = held(client, asks=False)
        server.tls.write(encode_frame(Ping(1)) + encode_frame(Bye("enough")))
        server.sock.sendall(server.outgoing.read())
        assert await holding == "it ended the connection: enough"
