from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
import trio

pytestmark = [pytest.mark.anyio, pytest.mark.swarm]
Opens = Callable[..., AbstractAsyncContextManager[Any]]


async def test_inbound_connections_give_their_places_back(kind: str, vanilla: Opens, mended: Opens, ends: Any) -> None:
    """A host with 8 places for inbound connections takes 12 in a row; libp2p's own is full for ever after the 8th."""
    if kind == "vanilla":
        places: Any = vanilla(max_connections=8, min_connections=0, low_watermark=0, high_watermark=8)
    else:
        places = mended(limits={"connections": 8})
    made = 0
    async with places as server:
        for _ in range(12):
            async with mended() as client:
                try:
                    await ends.join(client, server)
                except Exception:  # noqa: BLE001  # how a refusal is worded is libp2p's business
                    break
                made += 1
            await ends.until(lambda: not server.get_network().get_connections())
    assert made == (8 if kind == "vanilla" else 12)


async def test_no_failure_is_remembered(kind: str, opens: Opens, mended: Opens, ends: Any) -> None:
    """A peer that was down is dialled again once it is up; libp2p's own refuses to for a minute."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    async with opens() as client, mended() as stranger:
        with pytest.raises(Exception, match=r"."):
            await client.connect(ends.info(stranger, f"/ip4/127.0.0.1/tcp/{port}"))
        client.get_peerstore().clear_addrs(stranger.get_id())
        if kind == "vanilla":
            with pytest.raises(Exception, match="negative cache"):
                await ends.join(client, stranger)
        else:
            await ends.join(client, stranger)
            assert client.muxers(stranger.get_id())


async def test_every_address_is_tried(kind: str, opens: Opens, mended: Opens, ends: Any) -> None:
    """The second address is dialled when the first is dead; libp2p's own gives up after one."""
    async with opens() as client, mended() as server:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            dead = f"/ip4/127.0.0.1/tcp/{probe.getsockname()[1]}"
        info = ends.info(server, dead, f"/ip4/127.0.0.1/tcp/{ends.port(server)}")
        if kind == "vanilla":
            with pytest.raises(Exception, match="no addresses established"):
                await client.connect(info)
        else:
            await client.connect(info)
            assert client.muxers(server.get_id())


async def test_a_dial_that_fails_tells_of_each_address(mended: Opens, ends: Any) -> None:
    """The error names every address and what became of it: one refuses, one leads to somebody else."""
    async with mended() as client, mended() as server, mended() as other:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            dead = f"/ip4/127.0.0.1/tcp/{probe.getsockname()[1]}"
        wrong = f"/ip4/127.0.0.1/tcp/{ends.port(other)}"
        with pytest.raises(Exception, match=r".*") as raised:
            await client.connect(ends.info(server, dead, wrong))
        text = str(raised.value)
        assert dead in text
        assert wrong in text
        assert "peer id" in text.lower()
        assert client.get_peerstore().addrs(server.get_id())  # a wrong address does not cost the right ones


async def test_an_address_that_never_answers_is_given_up(mended: Opens, ends: Any) -> None:
    """A listener that takes the connection and says nothing costs the time for one address."""
    async with mended(limits={"dial": 0.5}) as client, mended() as server:
        with socket.create_server(("127.0.0.1", 0)) as mute:
            began = trio.current_time()
            with pytest.raises(Exception, match=r"no answer within 0\.5 s"):
                await client.connect(ends.info(server, f"/ip4/127.0.0.1/tcp/{mute.getsockname()[1]}"))
            assert trio.current_time() - began < 3


async def test_one_address_is_dialled_once_and_for_a_time(mended: Opens, ends: Any) -> None:
    """Dialling an address by itself is tried once, ends within its time, and forgets no other address."""
    from multiaddr import Multiaddr

    async with mended(limits={"dial": 0.5}) as client, mended() as server, mended() as other:
        info = ends.info(server)
        client.get_peerstore().add_addrs(info.peer_id, info.addrs, 60)
        began = trio.current_time()
        with socket.create_server(("127.0.0.1", 0)) as mute:
            address = Multiaddr(f"/ip4/127.0.0.1/tcp/{mute.getsockname()[1]}")
            with pytest.raises(Exception, match=r"no answer within 0\.5 s"):
                await client.get_network().dial_addr(address, server.get_id())
        with pytest.raises(Exception, match=r"(?i)peer id"):
            await client.get_network().dial_addr(other.get_transport_addrs()[0], server.get_id())
        assert trio.current_time() - began < 2
        assert client.get_peerstore().addrs(server.get_id()) == info.addrs


async def test_connecting_waits_for_nothing(kind: str, opens: Opens, mended: Opens, ends: Any) -> None:
    """A dial takes as long as the handshake; libp2p's own waits a quarter of a second after it has succeeded."""
    spans: list[float] = []
    async with mended() as server:
        for _ in range(3):
            async with opens() as client:
                began = trio.current_time()
                await ends.join(client, server)
                spans.append(trio.current_time() - began)
    assert (min(spans) > 0.24) == (kind == "vanilla")


async def test_nobody_is_dialled_unasked(kind: str, vanilla: Opens, mended: Opens, ends: Any) -> None:
    """A peer that is merely known stays unconnected; libp2p's own connects to everybody it has heard of."""
    hosts = vanilla(auto_connect_interval=0.2, min_connections=0) if kind == "vanilla" else mended()
    async with hosts as host, mended() as known:
        info = ends.info(known)
        host.get_peerstore().add_addrs(info.peer_id, info.addrs, 60)
        with trio.move_on_after(1.0):
            await ends.until(lambda: host.get_network().get_connections(info.peer_id))
        assert bool(host.get_network().get_connections(info.peer_id)) == (kind == "vanilla")


async def test_a_cancelled_opening_leaves_no_stream(mended: Opens, ends: Any) -> None:
    """Openings that are cancelled at any point leave no stream on either side."""
    async with mended() as client, mended() as server:
        server.set_stream_handler("/echo/1", ends.echo)
        await ends.join(client, server)
        [near], [far] = client.muxers(), server.muxers()
        await ends.until(lambda: not near.session.streams and not far.session.streams)
        for step in range(60):
            with trio.move_on_after(step * 0.00005):
                stream = await client.new_stream(server.get_id(), ["/echo/1"])
                await stream.reset()
        await ends.until(lambda: not near.session.streams and not far.session.streams)
        assert not near.is_closed
        assert client.get_network().get_connections()[0].get_streams() == ()


async def test_strangers_who_say_nothing_do_not_shut_others_out(mended: Opens, ends: Any) -> None:
    """Silent connections hold the few places of newcomers for the time of a handshake, and no others."""
    limits = {"handshakes": 2, "upgrade": 1.0}
    async with mended(limits=limits) as server, mended() as client:
        mute = [await trio.open_tcp_stream("127.0.0.1", ends.port(server)) for _ in range(4)]
        assert await mute[3].receive_some(1) == b""  # both places were taken
        for stream in mute[:2]:
            with trio.fail_after(5):
                while await stream.receive_some(100):
                    pass
        await ends.join(client, server)
        assert server.muxers()
        for stream in mute:
            await stream.aclose()


async def test_who_dials_can_take_the_part_of_the_dialled(mended: Opens, ends: Any) -> None:
    """Where both dial at one moment, one of them answers in Noise and in yamux; silence is not waited for for ever."""
    from libp2p.network.connection.raw_connection import RawConnection
    from multiaddr import Multiaddr
    from swarmgate_transport_libp2p.child.mended.tcp import BufferedStream

    async with mended(limits={"dial": 1.0}) as here, mended() as there, trio.open_nursery() as tasks:
        [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
        where = Multiaddr(f"/ip4/127.0.0.1/tcp/{listener.socket.getsockname()[1]}")
        async with listener:
            with pytest.raises(Exception, match="no answer within 1 s"):
                await here.swarm.dial_addr_as_responder(where, there.get_id())
            await (await listener.accept()).aclose()
            tasks.start_soon(here.swarm.dial_addr_as_responder, where, there.get_id())
            raw = RawConnection(BufferedStream(await listener.accept()), True)
            await there.swarm.upgrade_outbound_raw_conn(raw, here.get_id())
            await ends.until(lambda: here.muxers(there.get_id()))
            assert not here.muxers(there.get_id())[0].is_initiator
            assert there.muxers(here.get_id())[0].is_initiator


async def test_of_two_connections_both_sides_choose_the_same(mended: Opens, ends: Any) -> None:
    """Who dialled each other at the same moment open all streams on one of both, and call the other one too many."""
    async with mended() as one, mended() as other:
        for host in (one, other):
            host.set_stream_handler("/echo/1", ends.echo)
        await ends.join(one, other)
        from multiaddr import Multiaddr

        await other.swarm.dial_addr(Multiaddr(f"/ip4/127.0.0.1/tcp/{ends.port(one)}"), one.get_id())
        await ends.until(lambda: len(one.swarm.get_connections()) == len(other.swarm.get_connections()) == 2)
        used = {}
        for host, peer in ((one, other), (other, one)):
            for _ in range(3):
                stream = await host.new_stream(peer.get_id(), ["/echo/1"])
                used.setdefault(host, set()).add(stream.muxed_conn.is_initiator)
        assert len(used[one]) == len(used[other]) == 1
        assert used[one] != used[other]
        for host in (one, other):
            (spare,) = host.swarm.twins()
            assert {spare.muxed_conn.is_initiator} == {True, False} - used[host]
        await other.swarm.twins()[0].close()
        await ends.until(lambda: len(one.swarm.get_connections()) == 1)
        assert one.swarm.twins() == other.swarm.twins() == []
