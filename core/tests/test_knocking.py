from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack

import anyio
import pytest
from anyio.abc import SocketStream
from swarmgate.contracts import Probe
from swarmgate.errors import Unreachable
from swarmgate.knocking import Knocking
from swarmgate.nouns import GATEWAY, Endpoint
from swarmgate.testing.streams import a_closed_port, a_server

pytestmark = pytest.mark.anyio
ALIVE = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n"


class Gateway:
    """Answers knocks in its manner; may be made silent, or hang up on all who are connected."""

    def __init__(self, answer: bytes = ALIVE, *, keeps: bool = True) -> None:
        self.answer, self.keeps = answer, keeps
        self.silent = self.knocks = self.connections = 0
        self._streams: list[SocketStream] = []

    def open(self) -> AbstractAsyncContextManager[Endpoint]:
        async def answer(stream: SocketStream) -> None:
            self.connections += 1
            self._streams.append(stream)
            async for asked in stream:
                assert asked.startswith(b"HEAD /livez HTTP/1.1\r\n")
                self.knocks += 1
                if not self.silent:
                    await stream.send(self.answer)
                if not self.keeps:
                    return

        return a_server(answer)

    async def hang_up(self) -> None:
        for stream in self._streams:
            await stream.aclose()

    async def until_knocks(self, count: int) -> None:
        with anyio.fail_after(10):
            while self.knocks < count:  # noqa: ASYNC110 -- seen from the other side
                await anyio.sleep(0.005)


def probe() -> Knocking:
    return Knocking(every_seconds=0.05, patience_seconds=0.5)


async def test_who_answers_is_told_once() -> None:
    """Nothing changes as long as knocks are answered, all over one connection."""
    gateway = Gateway()
    async with gateway.open() as endpoint, probe().watch(endpoint) as reports:
        assert await anext(reports) == {}
        with anyio.move_on_after(0.3) as scope:
            await anext(reports)
        assert scope.cancelled_caught
        assert gateway.knocks > 2
        assert gateway.connections == 1
    assert isinstance(probe(), Probe)
    assert probe().service == GATEWAY
    assert await probe().here() == 0


@pytest.mark.parametrize("answer", [b"HTTP/1.1 404 Not Found\r\n\r\n", b"HTTP/1.0 200 OK\r\nX: y\r\n\r\nbody"])
async def test_other_servers_answer_too(answer: bytes) -> None:
    """Whatever speaks HTTP is there; what it says is for others to judge."""
    async with Gateway(answer).open() as endpoint, probe().watch(endpoint) as reports:
        assert await anext(reports) == {}


async def test_a_server_that_hangs_up_after_each_answer_is_there() -> None:
    """It is asked anew each time, no more often than the others."""
    gateway = Gateway(keeps=False)
    async with gateway.open() as endpoint, probe().watch(endpoint) as reports:
        assert await anext(reports) == {}
        with anyio.move_on_after(0.5):
            await anext(reports)
    assert 3 < gateway.connections < 15


async def test_who_is_gone_is_noticed_at_once() -> None:
    """A connection that ends is asked about anew, without waiting for the next knock."""
    gateway, patient = Gateway(), Knocking(every_seconds=60, patience_seconds=60)
    with anyio.fail_after(10):
        async with AsyncExitStack() as running:
            endpoint = await running.enter_async_context(gateway.open())
            async with patient.watch(endpoint) as reports:
                assert await anext(reports) == {}
                await running.aclose()
                with pytest.raises(Unreachable, match=rf"nothing answers at {endpoint}: connection refused"):
                    await anext(reports)


async def wait(reports: AsyncIterator[dict[str, str]]) -> None:
    async for _ in reports:
        pass


async def test_a_closed_connection_alone_is_no_death() -> None:
    """Servers close connections that idle; the next one is answered."""
    gateway, patient = Gateway(), Knocking(every_seconds=60, patience_seconds=60)
    async with gateway.open() as endpoint, patient.watch(endpoint) as reports, anyio.create_task_group() as tasks:
        assert await anext(reports) == {}
        tasks.start_soon(wait, reports)
        await gateway.hang_up()
        await gateway.until_knocks(2)
        assert gateway.connections == 2
        tasks.cancel_scope.cancel()


async def test_silence_is_noticed() -> None:
    """Within the patience, whether it comes at once or later."""
    for silent in (True, False):
        gateway = Gateway()
        gateway.silent = silent
        async with gateway.open() as endpoint, probe().watch(endpoint) as reports:
            if not silent:
                assert await anext(reports) == {}
                gateway.silent = True
            with anyio.fail_after(10), pytest.raises(Unreachable, match=r"has been silent for 0\.5 s"):
                await anext(reports)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n", "does not speak HTTP"),
        (b"HTTP/1.1 200 OK\r\nx: " + b"y" * 20_000, "does not speak HTTP"),
    ],
)
async def test_something_else_is_named(answer: bytes, reason: str) -> None:
    """What is no HTTP server, or talks without end, is no gateway."""
    async with Gateway(answer).open() as endpoint, probe().watch(endpoint) as reports:
        with anyio.fail_after(10), pytest.raises(Unreachable, match=reason):
            await anext(reports)


async def test_who_hangs_up_at_once_is_no_gateway() -> None:
    """A tunnel whose far end is gone accepts connections, and closes them."""

    async def close(stream: SocketStream) -> None:
        await stream.receive()

    async with a_server(close) as endpoint, probe().watch(endpoint) as reports:
        with anyio.fail_after(10), pytest.raises(Unreachable, match="hangs up without an answer"):
            await anext(reports)


async def test_a_closed_port_is_named() -> None:
    """With what the system said."""
    with a_closed_port() as endpoint:
        async with probe().watch(endpoint) as reports:
            with pytest.raises(Unreachable, match=rf"nothing answers at {endpoint}: connection refused"):
                await anext(reports)


async def test_a_way_that_is_looked_after_is_knocked_at_seldom() -> None:
    """Where the way goes through a transport that notices silence, a knock only asks if the gateway stands still."""
    gateway, tunnels = Gateway(), set[Endpoint]()
    seldom = Knocking(tunnels=tunnels, every_seconds=0.02, seldom_seconds=60, patience_seconds=10)
    async with gateway.open() as endpoint, seldom.watch(endpoint) as reports, anyio.create_task_group() as tasks:
        assert await anext(reports) == {}
        tasks.start_soon(wait, reports)
        await gateway.until_knocks(3)  # it is none of them yet
        tunnels.add(endpoint)
        await gateway.until_knocks(before := gateway.knocks + 1)
        await anyio.sleep(0.3)
        assert gateway.knocks <= before + 1
        await gateway.hang_up()  # and the end of the connection tells as soon as ever
        await gateway.until_knocks(before + 1)
        assert gateway.connections == 2
        tasks.cancel_scope.cancel()


async def test_through_a_tunnel_an_answer_may_take_its_time() -> None:
    """Where too much runs, all who carry a knock are slow: it is waited as long as until the next one."""
    gateway, tunnels = Gateway(), set[Endpoint]()
    gateway.silent = True
    slow = Knocking(tunnels=tunnels, seldom_seconds=0.5, patience_seconds=0.01)
    async with gateway.open() as endpoint, slow.watch(endpoint) as reports:
        tunnels.add(endpoint)
        with anyio.fail_after(10), pytest.raises(Unreachable, match=r"has been silent for 0\.5 s"):
            await anext(reports)
