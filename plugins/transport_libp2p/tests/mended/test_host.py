from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
import trio

pytestmark = [pytest.mark.anyio, pytest.mark.swarm]
Opens = Callable[..., AbstractAsyncContextManager[Any]]


def _line(word: str) -> bytes:
    """One line of multistream-select: its length, itself, a line feed."""
    return bytes([len(word) + 1]) + word.encode() + b"\n"


async def _offers(port: int, protocol: str) -> bytes:
    """Return what a raw TCP client is answered when it asks for *protocol* first of all."""
    async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
        await stream.send_all(_line("/multistream/1.0.0") + _line(protocol))
        answer = b""
        with trio.fail_after(5):
            while answer.count(b"\n") < 2:
                answer += await stream.receive_some(1000)
        return answer.split(b"\n")[1][1:]


@pytest.mark.parametrize("protocol", ["/plaintext/2.0.0", "/secio/1.0.0", "/tls/1.0.0"])
async def test_nothing_but_noise_is_spoken(protocol: str, mended: Opens, ends: Any) -> None:
    """Who asks for plaintext, secio or TLS is told that we do not speak it; Noise is."""
    async with mended() as host:
        assert await _offers(ends.port(host), protocol) == b"na"
        assert await _offers(ends.port(host), "/noise") == b"/noise"


@pytest.mark.usefixtures("_libp2p")
async def test_libp2p_itself_speaks_plaintext(ends: Any) -> None:
    """A host of libp2p that was told nothing lets itself be spoken to in plaintext, under any name."""
    from libp2p import new_host
    from multiaddr import Multiaddr

    host = new_host()
    async with host.run([Multiaddr("/ip4/127.0.0.1/tcp/0")]):
        assert await _offers(ends.port(host), "/plaintext/2.0.0") == b"/plaintext/2.0.0"
        await host.close()


async def test_a_handlers_fault_ends_its_stream_alone(kind: str, opens: Opens, mended: Opens, ends: Any) -> None:
    """After a handler has raised, the host answers as before; libp2p's own is ended by it."""

    async def clumsy(stream: Any) -> None:
        raise ZeroDivisionError

    ended = False
    async with mended() as client:
        try:
            async with opens() as server:
                server.set_stream_handler("/clumsy/1", clumsy)
                server.set_stream_handler("/echo/1", ends.echo)
                await ends.join(client, server)
                broken = await client.new_stream(server.get_id(), ["/clumsy/1"])
                with trio.fail_after(5), pytest.raises(Exception, match=r".*"):
                    await broken.read(1)
                await trio.sleep(0.2)
                stream = await client.new_stream(server.get_id(), ["/echo/1"])
                await stream.write(b"well")
                assert await ends.exactly(stream, 4) == b"well"
        except ExceptionGroup as group:
            ended = group.subgroup(ZeroDivisionError) is not None
    assert ended == (kind == "vanilla")


@pytest.mark.parametrize("protocol", ["/ipfs/kad/1.0.0", "/ipfs/id/push/1.0.0", "/ipfs/ping/1.0.0", "/meshsub/1.1.0"])
async def test_garbage_ends_no_host(protocol: str, mended: Opens, ends: Any) -> None:
    """Random bytes, a huge length and a truncated message on each protocol of libp2p leave the host as it was."""
    from libp2p.kad_dht.kad_dht import DHTMode, KadDHT
    from libp2p.pubsub.gossipsub import PROTOCOL_ID_V11, GossipSub
    from libp2p.tools.anyio_service import background_trio_service
    from swarmgate_transport_libp2p.child.mended.gossip import MendedPubsub

    async with mended() as server, mended() as client:
        pubsub = MendedPubsub(server, GossipSub([PROTOCOL_ID_V11], 6, 4, 12), max_message=65536)
        async with background_trio_service(pubsub), background_trio_service(KadDHT(server, DHTMode.SERVER)):
            server.set_stream_handler("/echo/1", ends.echo)
            await ends.join(client, server)
            for garbage in (
                secrets.token_bytes(200),
                b"\xff" * 10,
                bytes([20]) + b"\xff" * 20,
                b"\x40abc",
                b"\x02\x08\xff",
            ):
                stream = await client.new_stream(server.get_id(), [protocol])
                await stream.write(garbage)
                await stream.close_write()
                with trio.move_on_after(0.3), contextlib.suppress(Exception):  # an end or a reset, as it likes
                    await ends.read_on(stream)
            stream = await client.new_stream(server.get_id(), ["/echo/1"])
            await stream.write(b"well")
            assert await ends.exactly(stream, 4) == b"well"


async def test_garbage_from_the_identified_ends_no_host(mended: Opens, ends: Any) -> None:
    """A peer that answers identify with rubbish is merely not identified."""

    async def rubbish(stream: Any) -> None:
        await stream.write(bytes([50]) + b"\xff" * 50)
        await stream.close()

    async with mended() as server, mended() as client:
        server.set_stream_handler("/ipfs/id/1.0.0", rubbish)
        server.set_stream_handler("/echo/1", ends.echo)
        await ends.join(client, server)
        stream = await client.new_stream(server.get_id(), ["/echo/1"])
        await stream.write(b"well")
        assert await ends.exactly(stream, 4) == b"well"


async def test_strangers_see_the_foyer_alone(mended: Opens, ends: Any) -> None:
    """Who is not admitted is answered on the foyer's protocol, and told of no other: not even ping and identify."""
    known: set[Any] = set()
    async with mended(admits=known.__contains__, foyer={"/hello/1"}) as server, mended() as client:
        for name in ("/hello/1", "/secret/1"):
            server.set_stream_handler(name, ends.echo)
        await ends.join(client, server)
        await client.new_stream(server.get_id(), ["/hello/1"])
        for name in ("/secret/1", "/ipfs/id/1.0.0", "/ipfs/ping/1.0.0"):
            with pytest.raises(Exception, match="failed to open a stream"):
                await client.new_stream(server.get_id(), [name])
        listing = await client.get_network().new_stream(server.get_id())
        await listing.write(_line("/multistream/1.0.0") + _line("ls"))
        answer = await ends.exactly(listing, 20 + 2 + len("/hello/1") + 1)
        assert answer.count(b"/") == 2 + 2
        assert b"/hello/1" in answer
        known.add(client.get_id())
        await client.new_stream(server.get_id(), ["/secret/1"])


async def test_the_admitted_are_identified_and_welcomed(mended: Opens, ends: Any) -> None:
    """A peer is identified when it is admitted, not before; whoever asked to be told is told."""
    known: set[Any] = set()
    welcomed: list[Any] = []
    async with mended(admits=known.__contains__, foyer={"/hello/1"}) as server, mended() as client:
        server.at_admission(welcomed.append)
        await ends.join(client, server)
        await ends.until(server.muxers)
        await trio.sleep(0.1)
        assert client.get_id() not in server._identified_peers
        known.add(client.get_id())
        server.admit(client.get_id())
        await ends.until(lambda: client.get_id() in server._identified_peers)
        assert welcomed == [client.get_id()]


async def test_real_addresses_are_announced(kind: str, opens: Opens) -> None:
    """A host that listens everywhere tells others where; libp2p's own tells them 0.0.0.0."""
    async with opens("/ip4/0.0.0.0/tcp/0") as host:
        told = [str(address) for address in host.get_addrs()]
    assert told
    assert any(address.startswith("/ip4/0.0.0.0/") for address in told) == (kind == "vanilla")


@pytest.mark.parametrize("announce", [["/dns4/gate.example/tcp/4001"], lambda _: ["/dns4/gate.example/tcp/4001"]])
async def test_what_to_announce_may_be_said(announce: Any, mended: Opens) -> None:
    """Addresses, or what makes them, replace those listened on; the peer is added."""
    async with mended(announce=announce) as host:
        assert [str(address) for address in host.get_addrs()] == [f"/dns4/gate.example/tcp/4001/p2p/{host.get_id()}"]


@pytest.mark.usefixtures("_libp2p")
async def test_the_key_makes_the_id() -> None:
    """The id is that of the seed's Ed25519 key, as the core computes it."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from swarmgate.api import peer_id
    from swarmgate_transport_libp2p.child.mended.host import open_host

    seed = bytes(range(32))
    async with open_host(key_seed=seed, listen=[]) as host:
        public = Ed25519PrivateKey.from_private_bytes(seed).public_key()
        assert str(host.get_id()) == peer_id(public.public_bytes_raw())


async def test_new_addresses_are_dialled_before_old_ones(mended: Opens, ends: Any) -> None:
    """A peer known under twenty dead addresses is reached at once under the new one, which is then remembered."""
    from multiaddr import Multiaddr

    async with mended() as client, mended() as server:
        dead = [Multiaddr(f"/ip4/127.0.0.2/tcp/{port}") for port in range(1, 21)]
        client.get_peerstore().add_addrs(server.get_id(), dead, 60)
        alive = f"/ip4/127.0.0.1/tcp/{ends.port(server)}"
        with trio.fail_after(3):
            await client.dial(server.get_id(), [alive])
        assert client.muxers(server.get_id())
        assert str(client.get_peerstore().addrs(server.get_id())[0]) == alive
        await client.dial(server.get_id())


async def test_what_is_raised_inside_comes_out_as_it_is(mended: Opens) -> None:
    """An exception of the body is not wrapped in a group."""
    with pytest.raises(ZeroDivisionError):
        async with mended():
            raise ZeroDivisionError


async def test_leaving_closes_every_connection(mended: Opens, ends: Any) -> None:
    """When a host is left, its ten peers are told at once, and its port is free."""
    async with mended() as server:
        async with trio.open_nursery() as nursery:
            left = trio.Event()

            async def stay(started: trio.Event) -> None:
                async with mended() as client:
                    await ends.join(client, server)
                    started.set()
                    await left.wait()
                    await ends.until(lambda: not client.muxers())

            for _ in range(10):
                started = trio.Event()
                nursery.start_soon(stay, started)
                await started.wait()
            began = trio.current_time()
            await server.close()
            left.set()
        assert trio.current_time() - began < 4


@pytest.mark.usefixtures("_libp2p")
async def test_where_we_are_is_not_found_out_for_each_who_asks(mended: Opens) -> None:
    """The DHT asks with each message; after a few seconds it is found out anew."""
    asked: list[list[str]] = []

    def announce(listening: list[str]) -> list[str]:
        asked.append(listening)
        return [f"/dns4/gate{len(asked)}.example/tcp/4001"]

    async with mended(announce=announce) as host:
        first = host.get_addrs()
        before = len(asked)
        assert host.get_addrs() == first
        assert len(asked) == before
        host._here = host._here[0], host._here[1] - 10, host._here[2]
        assert host.get_addrs() != first
