from __future__ import annotations

import contextlib
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
import trio

pytestmark = [pytest.mark.anyio, pytest.mark.swarm]
Opens = Callable[..., AbstractAsyncContextManager[Any]]
Links = Callable[[int], AbstractAsyncContextManager[Any]]

#: Short, so that tests are: a peer is dead after a second of silence.
IMPATIENT = {"ping": 0.3, "silence": 1.0}

#: A mended host in a process of its own, that can be killed or stopped; it prints its port and its id.
LONER = """
import secrets, sys, trio
from swarmgate_transport_libp2p.child.mended.host import open_host

async def main():
    async with open_host(key_seed=secrets.token_bytes(32), listen=["/ip4/127.0.0.1/tcp/0"]) as host:
        async def talk(stream):
            while True:
                await stream.write(bytes(1000))
                await trio.sleep(0.01)
        host.set_stream_handler("/talk/1", talk)
        print(host.get_transport_addrs()[0], host.get_id(), flush=True)
        await trio.sleep_forever()

trio.run(main)
"""


async def _works(ends: Any, client: Any, server: Any) -> bool:
    """Whether a new stream carries bytes there and back."""
    with trio.move_on_after(3):
        try:
            stream = await client.new_stream(server.get_id(), ["/echo/1"])
            await stream.write(b"still here")
            return await ends.exactly(stream, 10) == b"still here"
        except Exception:  # noqa: BLE001  # however it is broken, it is
            return False
    return False


async def _cancel_writes(ends: Any, client: Any, server: Any, rounds: int) -> int:
    """Cancel large writes at random moments; return after how many the connection was broken, or *rounds*."""
    dice = random.Random(7)
    for done in range(rounds):
        connections = client.get_network().get_connections(server.get_id())
        with trio.move_on_after(dice.uniform(0.001, 0.03)):
            stream = await client.new_stream(server.get_id(), ["/sink/1"])
            await stream.write(bytes(4_000_000))
        whole = client.get_network().get_connections(server.get_id()) == connections
        if not whole or not await _works(ends, client, server):
            return done
    return rounds


async def _sink(stream: Any) -> None:
    with contextlib.suppress(Exception):
        while True:
            await stream.read(65536)


async def test_a_cancelled_write_breaks_nothing(kind: str, opens: Opens, mended: Opens, ends: Any) -> None:
    """Forty cancelled writes leave the connection whole; with libp2p's own it is soon lost."""
    async with opens() as client, mended() as server:
        server.set_stream_handler("/sink/1", _sink)
        server.set_stream_handler("/echo/1", ends.echo)
        await ends.join(client, server)
        whole = await _cancel_writes(ends, client, server, 40)
        if kind == "vanilla":
            assert whole < 40
        else:
            assert whole == 40


@pytest.mark.parametrize("operation", ["open", "write", "read"])
async def test_any_operation_may_be_cancelled(operation: str, mended: Opens, ends: Any) -> None:
    """Two hundred small operations, cancelled wherever they are, leave the connection and its other streams whole."""
    dice = random.Random(11)
    async with mended() as client, mended() as server:
        server.set_stream_handler("/echo/1", ends.echo)
        await ends.join(client, server)
        [muxer] = client.muxers()
        witness = await client.new_stream(server.get_id(), ["/echo/1"])
        stream = await client.new_stream(server.get_id(), ["/echo/1"])
        for _ in range(200):
            with trio.move_on_after(dice.uniform(0, 0.0008)):
                if operation == "open":
                    await (await client.new_stream(server.get_id(), ["/echo/1"])).close()
                elif operation == "write":
                    await stream.write(b"x" * 100)
                else:
                    await stream.read(100)
        await witness.write(b"witness")
        assert await ends.exactly(witness, 7) == b"witness"
        assert client.muxers() == [muxer]


async def _pour(ends: Any, stream: Any) -> None:
    """Write until the path is clogged, and wait there."""
    with contextlib.suppress(Exception):
        await ends.write_on(stream)


async def test_opening_a_stream_to_a_silent_peer_can_be_cancelled(
    kind: str, opens: Opens, mended: Opens, ends: Any, link: Links
) -> None:
    """Who gives up opening a stream is free at once; in libp2p's own a reset holds him that nothing can cancel."""
    async with mended() as server, link(ends.port(server)) as path, opens() as client:
        server.set_stream_handler("/sink/1", _sink)
        await ends.join(client, server, path.port)
        pouring = [await client.new_stream(server.get_id(), ["/sink/1"]) for _ in range(20)]
        freed = trio.Event()

        async def open_one() -> None:
            with trio.move_on_after(1.0), contextlib.suppress(Exception):
                await client.new_stream(server.get_id(), ["/sink/1"])
            freed.set()

        async with trio.open_nursery() as nursery:
            path.freeze()
            nursery.start_soon(open_one)
            await trio.sleep(0.2)
            for stream in pouring:
                nursery.start_soon(_pour, ends, stream)
            with trio.move_on_after(2.0):
                await freed.wait()
            assert freed.is_set() == (kind == "mended")
            await path.cut()
            nursery.cancel_scope.cancel()


async def test_silence_is_noticed(kind: str, opens: Opens, mended: Opens, ends: Any, link: Links) -> None:
    """Both sides of a link that goes silent are told as their limits say; libp2p's own reads on for ever."""
    client_host = opens() if kind == "vanilla" else mended(limits=IMPATIENT)
    async with mended(limits=IMPATIENT) as server, link(ends.port(server)) as path, client_host as client:
        server.set_stream_handler("/echo/1", ends.echo)
        await ends.join(client, server, path.port)
        stream = await client.new_stream(server.get_id(), ["/echo/1"])
        path.freeze()
        began = trio.current_time()
        with trio.move_on_after(2.5):
            with pytest.raises(Exception, match=r".*") as raised:
                await stream.read(1)
            assert type(raised.value).__name__ == "StreamReset"
        assert (trio.current_time() - began < 2) == (kind == "mended")
        await ends.until(lambda: not server.muxers())


async def test_a_quiet_connection_lives_on(mended: Opens, ends: Any) -> None:
    """Pings keep a connection that nobody uses, for many times the silence that would end it, and measure it."""
    async with mended(limits=IMPATIENT) as client, mended(limits=IMPATIENT) as server:
        await ends.join(client, server)
        await trio.sleep(3)
        assert client.muxers()
        assert server.muxers()
        assert 0 < client.round_trip(server.get_id()) < 0.5
        assert client.muxers()[0].rtt() == client.round_trip(server.get_id())


@pytest.mark.parametrize("end", ["SIGKILL", "SIGSTOP"])
async def test_the_death_of_a_process_is_a_reset(end: str, mended: Opens, ends: Any) -> None:
    """A killed peer is noticed within a second, a stopped one within five; neither looks like an end of the stream."""
    from libp2p.network.stream.exceptions import StreamReset
    from libp2p.peer.id import ID
    from libp2p.peer.peerinfo import PeerInfo
    from multiaddr import Multiaddr

    with subprocess.Popen([sys.executable, "-W", "ignore", "-c", LONER], stdout=subprocess.PIPE, text=True) as loner:
        try:
            assert loner.stdout is not None
            address, peer = (await trio.to_thread.run_sync(loner.stdout.readline)).split()
            async with mended() as client:
                await client.connect(PeerInfo(ID.from_string(peer), [Multiaddr(address)]))
                stream = await client.new_stream(ID.from_string(peer), ["/talk/1"])
                await stream.read(1000)
                loner.send_signal(getattr(signal, end))
                began = trio.current_time()
                with trio.fail_after(10), pytest.raises(StreamReset):
                    await ends.read_on(stream)
                assert trio.current_time() - began < (1 if end == "SIGKILL" else 5)
        finally:
            loner.kill()


async def test_more_than_256_streams_are_open_at_once(kind: str, opens: Opens, mended: Opens, ends: Any) -> None:
    """Three hundred streams are held open; libp2p's own waits for ever at the 257th."""
    opened = 0
    async with opens() as client, mended() as server:
        server.set_stream_handler("/echo/1", ends.echo)
        await ends.join(client, server)
        await trio.sleep(0.2)  # identify has its own
        for _ in range(300):
            with trio.move_on_after(2) as patience:
                await client.new_stream(server.get_id(), ["/echo/1"])
            if patience.cancelled_caught:
                break
            opened += 1
    assert opened == 300 if kind == "mended" else opened <= 256


async def test_at_the_limit_openers_wait_until_a_stream_ends(mended: Opens, ends: Any) -> None:
    """One stream too many is opened as soon as another ends, and waiting for it can be cancelled."""
    async with mended(limits={"outbound_streams": 4}) as client, mended() as server:
        server.set_stream_handler("/echo/1", ends.echo)
        await ends.join(client, server)
        [muxer] = client.muxers()
        await ends.until(lambda: not muxer.session.streams)
        held = [await client.new_stream(server.get_id(), ["/echo/1"]) for _ in range(4)]
        with trio.move_on_after(0.2) as patience:
            await client.new_stream(server.get_id(), ["/echo/1"])
        assert patience.cancelled_caught
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.new_stream, server.get_id(), ["/echo/1"])
            await trio.sleep(0.05)
            await held[0].reset()
            nursery.cancel_scope.deadline = trio.current_time() + 5
        assert not nursery.cancel_scope.cancelled_caught


async def test_streams_beyond_the_others_limit_are_reset(mended: Opens, ends: Any) -> None:
    """A peer that opens more streams than it may loses those, and keeps its others."""
    async with mended() as client, mended(limits={"inbound_streams": 8}) as server:
        server.set_stream_handler("/echo/1", ends.echo)
        await ends.join(client, server)
        [muxer] = client.muxers()
        await ends.until(lambda: not muxer.session.streams)
        held = [await client.new_stream(server.get_id(), ["/echo/1"]) for _ in range(8)]
        with pytest.raises(Exception, match="failed to open a stream"):
            await client.new_stream(server.get_id(), ["/echo/1"])
        for stream in held:
            await stream.write(b"ok")
            assert await ends.exactly(stream, 2) == b"ok"


async def test_closing_sends_what_is_queued(mended: Opens, ends: Any) -> None:
    """Bytes written just before a host closes arrive, and then the stream is reset, for it was not ended."""
    from libp2p.network.stream.exceptions import StreamReset

    got = bytearray()
    over = trio.Event()

    async def take(stream: Any) -> None:
        with pytest.raises(StreamReset):
            await ends.read_on(stream, got)
        over.set()

    async with mended() as server:
        server.set_stream_handler("/take/1", take)
        async with mended() as client:
            await ends.join(client, server)
            stream = await client.new_stream(server.get_id(), ["/take/1"])
            await stream.write(bytes(300_000))
        with trio.fail_after(5):
            await over.wait()
    assert len(got) == 300_000


@pytest.mark.parametrize("waits", [True, False])
async def test_silence_matters_where_somebody_waits(waits: bool, mended: Opens, ends: Any) -> None:
    """A connection with nothing but streams in the background outlives a silence that would end it otherwise."""
    from libp2p.peer.id import ID
    from libp2p.peer.peerinfo import PeerInfo
    from multiaddr import Multiaddr

    limits = {"ping": 0.3, "silence": 1.0, "calm_ping": 600.0, "calm_silence": 900.0}
    with subprocess.Popen([sys.executable, "-W", "ignore", "-c", LONER], stdout=subprocess.PIPE, text=True) as loner:
        try:
            assert loner.stdout is not None
            address, peer = (await trio.to_thread.run_sync(loner.stdout.readline)).split()
            async with mended(limits=limits) as client:
                await client.connect(PeerInfo(ID.from_string(peer), [Multiaddr(address)]))
                stream = await client.new_stream(ID.from_string(peer), ["/talk/1"])
                await stream.read(1000)
                await ends.until(
                    lambda: all(each is stream for each in client.swarm.get_connections()[0].get_streams())
                )
                if not waits:
                    stream.muxed_stream.to_background()
                loner.send_signal(signal.SIGSTOP)
                with trio.move_on_after(3 if not waits else 20) as patience:
                    await client.muxers()[0].event_closed.wait()
                assert patience.cancelled_caught != waits
        finally:
            loner.kill()
