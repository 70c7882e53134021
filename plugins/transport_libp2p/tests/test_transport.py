from __future__ import annotations

import socket
import struct
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
from libp2p_nodes import PATIENCE, a_context_of, until
from swarmgate.api import GATEWAY, ConfigError, Endpoint, Transport, Unreachable
from swarmgate.testing import PluginContract, TransportContract, a_swarm
from swarmgate.testing.streams import a_closed_port, an_echo, answers
from swarmgate_transport_libp2p import open_p2p
from swarmgate_transport_libp2p.addresses import Address, read, write
from swarmgate_transport_libp2p.messages import Listening
from swarmgate_transport_libp2p.options import P2pOptions
from swarmgate_transport_libp2p.sidecar import Sidecar
from swarmgate_transport_libp2p.transport import P2pTransport

pytestmark = pytest.mark.swarm
_CHUNK = 1 << 16
#: More than the windows of yamux and the sockets' buffers on the way hold together, in bytes.
_MOST_GATHERED = 40 << 20


class TestPlugin(PluginContract):
    plugin = "libp2p"


class TestContract(TransportContract):
    @pytest.fixture(autouse=True)
    def _nodes(self, pair: list[Sidecar]) -> None:
        self.here, self.there = pair

    @asynccontextmanager
    async def make(self) -> AsyncGenerator[Transport]:
        yield P2pTransport(self.here)

    @asynccontextmanager
    async def far(self) -> AsyncGenerator[Transport]:
        yield P2pTransport(self.there)

    @asynccontextmanager
    async def unreachable(self, transport: Transport) -> AsyncGenerator[str]:
        (nobody,) = a_swarm("owner")
        with a_closed_port() as endpoint:
            yield write(Address(nobody.id, "gateway", (f"/ip4/127.0.0.1/tcp/{endpoint.port}",)))


@pytest.mark.anyio
async def test_the_address_names_the_peer_and_where_it_is(pair: list[Sidecar]) -> None:
    """An exposed address has the node's id, and its multiaddresses as hints."""
    async with an_echo() as echo, P2pTransport(pair[0]).expose(GATEWAY, echo) as (text,):
        address = read(text)
    assert address == Address(pair[0].membership.id, "gateway", await pair[0].addresses())


@pytest.mark.anyio
async def test_it_says_where_the_node_is_now(pair: list[Sidecar]) -> None:
    """What the child told last is in the address; while it is being restarted, what was told before."""
    sidecar, transport = pair[0], P2pTransport(pair[0])
    (listening,) = await sidecar.addresses()
    port = int(listening.rpartition("/")[2])
    async with an_echo() as echo, transport.expose(GATEWAY, echo) as (text,):
        moved = f"/ip4/192.0.2.1/tcp/{port}"
        sidecar.received(Listening((moved,), (listening,)))
        assert [read(each).hints for each in await transport.addresses(text)] == [(moved,)]
        sidecar.received(Listening((listening,), (listening,)))
        assert await transport.addresses(text) == (text,)


@pytest.mark.anyio
async def test_ways_tell_the_round_trip(pair: list[Sidecar]) -> None:
    """A path that is held goes directly, in a time that was measured; one that was left is not told."""
    here, there = map(P2pTransport, pair)
    async with an_echo() as echo, there.expose(GATEWAY, echo) as (address,):
        async with here.reach(address):
            await until(lambda: bool(here.ways()) and here.ways()[0].rtt_seconds is not None)
            (way,) = here.ways()
        assert (way.address, way.kind, way.reason) == (address, "direct", "")
        assert 0 < (way.rtt_seconds or 0) < 1
        assert here.ways() == ()


@pytest.mark.anyio
async def test_the_peer_is_pinned(pair: list[Sidecar]) -> None:
    """Where another peer answers than the address names, nothing is carried."""
    here, there = pair
    (nobody,) = a_swarm("owner")
    address = write(Address(nobody.id, "gateway", await there.addresses()))
    with pytest.raises(Unreachable, match="cannot be reached"):
        async with P2pTransport(here).reach(address):
            pass


@pytest.mark.anyio
async def test_a_service_that_is_not_offered_is_unreachable(pair: list[Sidecar]) -> None:
    """The peer is there, and says that it has no such thing."""
    here, there = pair
    address = write(Address(there.membership.id, "no-such-thing", await there.addresses()))
    with pytest.raises(Unreachable, match="it does not offer no-such-thing"):
        async with P2pTransport(here).reach(address):
            pass


@pytest.mark.anyio
async def test_we_are_not_reached_by_ourselves(pair: list[Sidecar]) -> None:
    """A node's own offers come back to it, and need no tunnel."""
    address = write(Address(pair[0].membership.id, "gateway", await pair[0].addresses()))
    with pytest.raises(Unreachable, match="this node itself"):
        async with P2pTransport(pair[0]).reach(address):
            pass


@pytest.mark.anyio
async def test_a_reset_is_no_end(pair: list[Sidecar]) -> None:
    """What breaks off over there breaks off here: a truncated answer cannot be taken for a whole one."""
    here, there = map(P2pTransport, pair)
    with socket.create_server(("127.0.0.1", 0)) as server:
        exposed = Endpoint("127.0.0.1", server.getsockname()[1])
        async with (
            there.expose(GATEWAY, exposed) as (address,),
            here.reach(address) as endpoint,
            await anyio.connect_tcp(endpoint.host, endpoint.port) as stream,
        ):
            await stream.send(b"question")
            accepted, _ = await anyio.to_thread.run_sync(server.accept)
            accepted.sendall(b"the first half")
            assert await stream.receive() == b"the first half"
            accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            accepted.close()
            with anyio.fail_after(PATIENCE), pytest.raises(anyio.BrokenResourceError):
                await stream.receive()


@pytest.mark.anyio
async def test_leaving_cuts_what_goes_through(pair: list[Sidecar]) -> None:
    """A connection through a path that is left is reset, and its endpoint closes."""
    here, there = map(P2pTransport, pair)
    async with an_echo() as echo, there.expose(GATEWAY, echo) as (address,):
        async with here.reach(address) as endpoint:
            stream = await anyio.connect_tcp(endpoint.host, endpoint.port)
            await stream.send(b"hello")
            assert await stream.receive() == b"hello"
        async with stream:
            with anyio.fail_after(PATIENCE), pytest.raises(anyio.BrokenResourceError):
                await stream.receive()
        with anyio.fail_after(PATIENCE):
            while await answers(endpoint):  # noqa: ASYNC110  # nothing to wait on
                await anyio.sleep(0.01)


@pytest.mark.anyio
async def test_who_does_not_read_holds_up_who_writes(pair: list[Sidecar]) -> None:
    """Little is gathered on the way, and what was written arrives once it is read."""
    here, there = map(P2pTransport, pair)
    with socket.create_server(("127.0.0.1", 0)) as server:
        exposed = Endpoint("127.0.0.1", server.getsockname()[1])
        async with (
            there.expose(GATEWAY, exposed) as (address,),
            here.reach(address) as endpoint,
            await anyio.connect_tcp(endpoint.host, endpoint.port) as stream,
        ):
            accepted, _ = await anyio.to_thread.run_sync(server.accept)
            written = 0
            with anyio.move_on_after(2.0):
                while True:
                    await stream.send(bytes(_CHUNK))
                    written += _CHUNK
            assert written < _MOST_GATHERED
            await stream.send_eof()
            assert written <= await anyio.to_thread.run_sync(_drain, accepted) <= written + _CHUNK


def _drain(accepted: socket.socket) -> int:
    with accepted:
        return sum(iter(lambda: len(accepted.recv(_CHUNK)), 0))


@pytest.mark.anyio
async def test_without_a_swarm_the_remedy_is_named(tmp_path: Path) -> None:
    """A node without a token cannot open it, and is told how to get one."""
    (member,) = a_swarm("owner")
    context = a_context_of(member, tmp_path)
    context.membership = None
    with pytest.raises(ConfigError, match="gateway run --p2p"):
        async with open_p2p(P2pOptions(), context):
            pass
