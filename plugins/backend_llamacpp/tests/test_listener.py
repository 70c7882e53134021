from __future__ import annotations

import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

import anyio
import pytest
from anyio.abc import SocketStream
from swarmgate.api import Endpoint, Unavailable, Unreachable, encode_frame
from swarmgate.testing.streams import a_server, an_echo
from swarmgate_backend_llamacpp.rpc.client import Lease, lease, probe
from swarmgate_backend_llamacpp.rpc.lease import BORROWER, LENDER, Ask, Device, Facts, Granted
from swarmgate_backend_llamacpp.rpc.listener import Listener

pytestmark = pytest.mark.anyio

HELLO = b"\x0e"
PATIENCE = 10


class Behind:
    """Something to lend, with a server behind that says what it heard."""

    def __init__(self, endpoint: Endpoint | None) -> None:
        self.endpoint = endpoint

    async def facts(self, leased_by: str) -> Facts:
        await anyio.lowlevel.checkpoint()
        waiting = "" if self.endpoint else "the RPC server is starting"
        device = Device(name="CPU", memory_free=5, memory_total=7)
        who = {"node": "n1", "instance": "i1"}
        return Facts((device,), "7.0.0", cores=2, version="0.1.0", leased_by=leased_by, waiting=waiting, **who)


class House:
    """An open listener."""

    def __init__(self, endpoint: Endpoint, listener: Listener, behind: Behind) -> None:
        self.endpoint, self.listener, self.behind = endpoint, listener, behind

    async def connect(self, host: str = "127.0.0.1") -> SocketStream:
        return await anyio.connect_tcp("127.0.0.1", self.endpoint.port, local_host=host)

    async def until_free(self) -> None:
        with anyio.fail_after(PATIENCE):
            while (await probe(self.endpoint)).leased_by:  # noqa: ASYNC110 -- told by the far side alone
                await anyio.sleep(0.01)


@asynccontextmanager
async def a_house(server: Endpoint | None, *, silence_seconds: float = PATIENCE) -> AsyncGenerator[House]:
    behind = Behind(server)
    listener = Listener(behind, silence_seconds=silence_seconds)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(listener.serve, [listening])
            yield House(Endpoint("127.0.0.1", listening.getsockname()[1]), listener, behind)
            tasks.cancel_scope.cancel()


async def hear_once(stream: SocketStream) -> None:
    await stream.receive()


async def heard(stream: SocketStream, data: bytes) -> bytes:
    """Send *data* and return as much of what comes back."""
    await stream.send(data)
    back = b""
    while len(back) < len(data):
        back += await stream.receive()
    return back


async def is_closed(stream: SocketStream) -> bool:
    """Wait for the other side to say something or to leave; True if it left."""
    with anyio.fail_after(PATIENCE), suppress(anyio.EndOfStream, anyio.BrokenResourceError):
        await stream.receive()
        return False
    return True


async def test_llama_cpp_s_clients_are_let_through() -> None:
    """Every byte arrives, in both directions, and the end of one direction does not end the other."""
    data = HELLO + bytes(range(256)) * 20_000
    async with an_echo() as server, a_house(server) as house, await house.connect() as stream:
        back = bytearray()
        async with anyio.create_task_group() as tasks:

            async def say() -> None:
                await stream.send(data)
                await stream.send_eof()

            tasks.start_soon(say)
            async for chunk in stream:
                back += chunk
        assert bytes(back) == data


async def test_a_second_client_is_closed_at_once() -> None:
    """It does not hang for ever, and the first one does not notice; when that has left, the next is let in."""
    async with an_echo() as server, a_house(server) as house:
        async with await house.connect() as first:
            assert await heard(first, HELLO) == HELLO
            async with await house.connect() as second:
                await second.send(HELLO)
                with anyio.fail_after(2):
                    assert await is_closed(second)
            assert await heard(first, b"more") == b"more"
        async with await house.connect() as third:
            assert await heard(third, HELLO) == HELLO


async def test_one_connection_after_the_other_is_let_in() -> None:
    """As llama.cpp does while it loads: the next one comes while the last one is leaving."""
    async with an_echo() as server, a_house(server) as house:
        for _ in range(50):
            async with await house.connect() as stream:
                assert await heard(stream, HELLO) == HELLO


async def test_a_probe_learns_what_is_lent() -> None:
    """Devices, memory, versions, cores, and who has it."""
    async with an_echo() as server, a_house(server) as house:
        facts = await probe(house.endpoint)
        assert (facts.memory_bytes, facts.memory_total_bytes, facts.cores) == (5, 7, 2)
        assert (facts.rpc_version, facts.version, facts.leased_by, facts.keeps_leases) == ("7.0.0", "0.1.0", "", True)
        async with lease(house.endpoint, "alpha") as held:
            assert held.facts.memory_bytes == 5
            facts = await probe(house.endpoint)
            assert facts.labels()["leased_by"] == "alpha"
            assert (facts.labels()["node"], facts.labels()["instance"]) == ("n1", "i1")
        await house.until_free()


async def test_a_second_gateway_is_refused_with_the_holder_s_name() -> None:
    """At once, and the first one keeps its lease; given back, it is the next one's."""
    async with an_echo() as server, a_house(server) as house:
        async with lease(house.endpoint, "alpha") as held:
            with anyio.fail_after(2), pytest.raises(Unavailable, match=r"the worker at 127.* is lent to 'alpha'"):
                async with lease(house.endpoint, "beta"):
                    pass
            assert not held.lost
        await house.until_free()
        async with lease(house.endpoint, "beta"):
            assert house.listener.desk.holder == "beta"


async def test_a_lease_is_for_the_holder_s_machine() -> None:
    """While it stands, llama.cpp's clients are let in from where the holder is, and from nowhere else."""
    async with an_echo() as server, a_house(server) as house, lease(house.endpoint, "alpha"):
        async with await house.connect("127.0.0.2") as stranger:
            await stranger.send(HELLO)
            assert await is_closed(stranger)
        async with await house.connect() as ours:
            assert await heard(ours, HELLO) == HELLO


async def test_a_client_in_use_is_named_to_gateways() -> None:
    """llama.cpp's own client asks for no lease, and is not thrown out for one."""
    async with an_echo() as server, a_house(server) as house, await house.connect() as stream:
        assert await heard(stream, HELLO) == HELLO
        with pytest.raises(Unavailable, match=r"is lent to 'a llama.cpp client at 127.0.0.1'"):
            async with lease(house.endpoint, "alpha"):
                pass


async def test_a_holder_s_client_ends_with_the_lease() -> None:
    """Nobody goes on computing with a worker that is no longer theirs."""
    async with an_echo() as server, a_house(server) as house:
        async with lease(house.endpoint, "alpha"):
            stream = await house.connect()
            assert await heard(stream, HELLO) == HELLO
        async with stream:
            assert await is_closed(stream)


async def test_a_silent_holder_loses_its_lease() -> None:
    """One that is cut off says nothing more; after the stated time the lease is free."""
    async with an_echo() as server, a_house(server, silence_seconds=0.3) as house, await house.connect() as stream:
        await stream.send(BORROWER + encode_frame(Ask("lease", "alpha")))
        with anyio.fail_after(PATIENCE):
            said = b""
            while b"Granted" not in said:
                said += await stream.receive()
            assert said.startswith(LENDER)
            while house.listener.desk.holder:  # noqa: ASYNC110 -- what is waited for is that nothing happens
                await anyio.sleep(0.02)


async def test_pings_keep_a_lease() -> None:
    """A holder that has nothing to say keeps what it has for much longer than the silence that would end it."""
    async with (
        an_echo() as server,
        a_house(server, silence_seconds=0.4) as house,
        lease(house.endpoint, "alpha", ping_seconds=0.05) as held,
    ):
        with anyio.move_on_after(1.2):
            await held.wait_lost()
        assert not held.lost
        assert house.listener.desk.holder == "alpha"


async def until_lost(held: Lease) -> str:
    with anyio.fail_after(PATIENCE):
        return await held.wait_lost()


async def grants(stream: SocketStream) -> None:
    """Lend once, and hear one ping."""
    facts = await Behind(Endpoint("127.0.0.1", 1)).facts("")
    first = await stream.receive()
    await stream.send(LENDER + encode_frame(facts if b"probe" in first else Granted(facts)))
    with suppress(anyio.EndOfStream):
        await stream.receive()


async def test_a_holder_notices_that_the_worker_has_gone() -> None:
    """The connection's end is told with the reason."""
    async with a_server(grants) as endpoint, lease(endpoint, "alpha", ping_seconds=0.05) as held:
        assert await until_lost(held) == f"the worker at {endpoint} closed the connection"
        assert held.lost


async def test_a_holder_notices_a_worker_that_is_cut_off() -> None:
    """One that grants and then says nothing more is given up after the stated time."""

    async def fall_silent(stream: SocketStream) -> None:
        await grants(stream)
        with suppress(anyio.EndOfStream):
            while True:
                await stream.receive()

    async with (
        a_server(fall_silent) as endpoint,
        lease(endpoint, "alpha", ping_seconds=0.05, silence_seconds=0.3) as held,
    ):
        assert await until_lost(held) == f"the worker at {endpoint} has been silent for 0.3 s"


async def test_nothing_is_lent_while_the_server_restarts() -> None:
    """Probes say why, a lease is refused with the reason, and llama.cpp's clients are closed."""
    async with a_house(None) as house:
        assert (await probe(house.endpoint)).waiting == "the RPC server is starting"
        with pytest.raises(Unavailable, match="cannot lend now: the RPC server is starting"):
            async with lease(house.endpoint, "alpha"):
                pass
        async with await house.connect() as stream:
            await stream.send(HELLO)
            assert await is_closed(stream)
        assert house.listener.desk.holder == ""


async def test_strangers_are_sent_away() -> None:
    """Who speaks something else is closed, and so is who says nothing; the others are served as before."""
    async with an_echo() as server, a_house(server, silence_seconds=0.3) as house:
        for words in (b"GET / HTTP/1.1\r\n\r\n", BORROWER + b"\xff\xff\xff\xff", b"\x00", b""):
            async with await house.connect() as stream:
                await stream.send(words)
                with anyio.fail_after(PATIENCE), suppress(anyio.EndOfStream, anyio.BrokenResourceError):
                    while True:
                        await stream.receive()
        assert (await probe(house.endpoint)).cores == 2


async def test_a_dead_server_ends_its_client() -> None:
    """llama.cpp aborts on that; better than to wait for an answer that will not come."""
    async with a_server(hear_once) as server, a_house(server) as house:
        async with await house.connect() as stream:
            await stream.send(HELLO)
            assert await is_closed(stream)
        with pytest.raises(Unreachable, match="nothing answers at"):
            await probe(Endpoint("127.0.0.1", 1))
