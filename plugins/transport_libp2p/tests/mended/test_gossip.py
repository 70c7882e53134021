from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Any

import pytest
import trio

pytestmark = [pytest.mark.anyio, pytest.mark.swarm]
Opens = Callable[..., AbstractAsyncContextManager[Any]]
DECODE_ERROR = bytes([20]) + b"\xff" * 20


@asynccontextmanager
async def _pubsub(host: Any, kind: str = "mended") -> AsyncGenerator[Any]:
    from libp2p.pubsub.gossipsub import PROTOCOL_ID_V11, GossipSub
    from libp2p.pubsub.pubsub import Pubsub
    from libp2p.tools.anyio_service import background_trio_service
    from swarmgate_transport_libp2p.child.mended.gossip import MendedPubsub

    router = GossipSub([PROTOCOL_ID_V11], 6, 4, 12, heartbeat_interval=1, spam_protection_enabled=False)
    pubsub = Pubsub(host, router) if kind == "vanilla" else MendedPubsub(host, router, max_message=256 * 1024)
    async with background_trio_service(router), background_trio_service(pubsub):
        await pubsub.wait_until_ready()
        yield pubsub


async def test_a_malformed_message_ends_no_host(kind: str, opens: Opens, mended: Opens, ends: Any) -> None:
    """Twenty-one bytes on a pubsub stream end libp2p's own host; ours goes on."""
    alive = False
    async with mended() as client:
        try:
            async with opens() as server, _pubsub(server, kind):
                server.set_stream_handler("/echo/1", ends.echo)
                await ends.join(client, server)
                bad = await client.new_stream(server.get_id(), ["/meshsub/1.1.0"])
                await bad.write(DECODE_ERROR)
                with trio.fail_after(5), pytest.raises(Exception, match=r".*"):
                    await bad.read(1)
                stream = await client.new_stream(server.get_id(), ["/echo/1"])
                await stream.write(b"well")
                alive = await ends.exactly(stream, 4) == b"well"
        except ExceptionGroup as group:
            assert kind == "vanilla", group  # noqa: PT017  # the fault that is shown
    assert alive == (kind == "mended")


async def test_large_messages_arrive_whole(mended: Opens, ends: Any) -> None:
    """Twenty messages of 100 kB, published by two tasks at once, all arrive."""
    async with mended() as near, mended() as far, _pubsub(near) as sender, _pubsub(far) as receiver:
        subscription = await receiver.subscribe("topic")
        await sender.subscribe("topic")
        await ends.join(near, far)
        await ends.until(lambda: far.get_id() in sender.peer_topics.get("topic", set()))

        async def publish(letter: bytes) -> None:
            for _ in range(10):
                await sender.publish("topic", letter * 100_000)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(publish, b"a")
            nursery.start_soon(publish, b"b")
            with trio.fail_after(10):
                heard = [(await subscription.get()).data for _ in range(20)]
        assert sorted(heard) == [b"a" * 100_000] * 10 + [b"b" * 100_000] * 10


async def test_a_validator_that_fails_drops_the_message(mended: Opens, ends: Any) -> None:
    """A message whose examination raises is dropped, and the next one is heard."""

    def examine(_peer: Any, message: Any) -> bool:
        return 1 / len(message.data.strip(b"x")) > 0

    async with mended() as near, mended() as far, _pubsub(near) as sender, _pubsub(far) as receiver:
        receiver.set_topic_validator("topic", examine, is_async_validator=False)
        subscription = await receiver.subscribe("topic")
        await ends.join(near, far)
        await ends.until(lambda: far.get_id() in sender.peer_topics.get("topic", set()))
        await sender.publish("topic", b"xx")
        await sender.publish("topic", b"good")
        with trio.fail_after(5):
            assert (await subscription.get()).data == b"good"


async def test_strangers_are_told_no_topic(mended: Opens, ends: Any) -> None:
    """No pubsub stream is opened to a peer before it is admitted; then it is, and the topic is told."""
    known: set[Any] = set()
    hosts = mended(admits=known.__contains__), mended()
    async with hosts[0] as host, hosts[1] as peer, _pubsub(host) as speaker, _pubsub(peer) as listener:
        await speaker.subscribe("secret topic")
        await ends.join(peer, host)
        await ends.until(host.muxers)
        await trio.sleep(0.3)
        assert listener.peer_topics == {}
        known.add(peer.get_id())
        host.admit(peer.get_id())
        await ends.until(lambda: "secret topic" in listener.peer_topics)


class Outsider:
    """A peer whose pubsub is written by hand, so that it can say and hear on the connection it means."""

    PROTOCOL = "/meshsub/1.1.0"

    def __init__(self, host: Any) -> None:
        self.host, self.heard = host, bytearray()
        host.set_stream_handler(self.PROTOCOL, self._hear)

    async def _hear(self, stream: Any) -> None:
        with suppress(Exception):  # its connection ends
            while True:
                self.heard += await stream.read(65536)

    async def connect(self, other: Any) -> Any:
        """Make one more connection to *other*, and say on it what is to be heard."""
        from libp2p.protocol_muxer.multiselect_communicator import MultiselectCommunicator
        from libp2p.pubsub.pb import rpc_pb2
        from libp2p.utils import encode_varint_prefixed

        connection = await self.host.get_network().dial_addr(other.get_transport_addrs()[0], other.get_id())
        stream = await connection.new_stream()
        await self.host.multiselect_client.select_one_of([self.PROTOCOL], MultiselectCommunicator(stream), 5)
        hello = rpc_pb2.RPC(subscriptions=[rpc_pb2.RPC.SubOpts(subscribe=True, topicid="topic")])
        await stream.write(encode_varint_prefixed(hello.SerializeToString()))
        return connection


async def test_who_comes_back_before_it_is_missed_hears_on(kind: str, opens: Opens, mended: Opens, ends: Any) -> None:
    """A peer that tells its topics on a second connection, and whose first one ends then, hears by the second.

    libp2p's own pubsub goes on with the first, and forgets what was told on the second as soon as it finds it broken.
    """
    async with opens() as host, mended() as far, _pubsub(host, kind) as speaker:
        await speaker.subscribe("topic")
        outsider = Outsider(far)
        first = await outsider.connect(host)
        await ends.until(lambda: far.get_id() in speaker.peers and b"topic" in outsider.heard)
        speaker.handle_subscription = noting(speaker.handle_subscription, told := trio.Event())
        await outsider.connect(host)
        await told.wait()
        await first.close()
        await ends.until(lambda: len(host.get_network().get_connections(far.get_id())) == 1)
        heard = False
        for number in range(8):
            await speaker.publish("topic", f"message {number}".encode())
            with trio.move_on_after(0.5):
                await ends.until(lambda: b"message" in outsider.heard)
                heard = True
                break
        assert heard == (kind == "mended")
        assert (far.get_id() in speaker.peer_topics.get("topic", ())) == (kind == "mended")


def noting(handle: Callable[..., None], told: trio.Event) -> Callable[..., None]:
    """Return *handle*, which sets *told* when it has been called."""

    def handle_and_note(*args: Any) -> None:
        handle(*args)
        told.set()

    return handle_and_note


async def test_who_has_hung_up_is_forgotten(mended: Opens, ends: Any) -> None:
    """When the last stream ends on which a peer told its topics, they are forgotten, and so is the peer."""
    async with mended() as host, mended() as far, _pubsub(host) as speaker:
        await speaker.subscribe("topic")
        connection = await Outsider(far).connect(host)
        await ends.until(lambda: far.get_id() in speaker.peers and "topic" in speaker.peer_topics)
        await connection.close()
        await ends.until(lambda: not speaker.peers and not speaker.peer_topics)


async def test_a_dht_client_offers_nothing(mended: Opens) -> None:
    """In this version of libp2p a DHT client registers no handler, so that there is nothing to mend."""
    from libp2p.kad_dht.kad_dht import DHTMode, KadDHT

    async with mended() as host:
        KadDHT(host, DHTMode.CLIENT)
        assert "/ipfs/kad/1.0.0" not in host.get_mux().get_protocols()


async def test_no_packet_carries_our_signed_address(mended: Opens) -> None:
    """libp2p puts the sender's record into each packet, which the other side would verify each time, twice."""
    from libp2p.pubsub.pb import rpc_pb2

    class Listening:
        def __init__(self) -> None:
            self.heard = b""

        async def write(self, data: bytes) -> None:
            self.heard += data

    stream = Listening()
    async with mended() as host, _pubsub(host) as pubsub:
        packet = rpc_pb2.RPC(
            subscriptions=[rpc_pb2.RPC.SubOpts(subscribe=True, topicid="topic")], senderRecord=b"record"
        )
        assert await pubsub.write_msg(stream, packet)
    assert b"topic" in stream.heard
    assert b"record" not in stream.heard


async def test_what_is_told_to_all_makes_nobody_wait(mended: Opens, ends: Any) -> None:
    """Streams of the pubsub alone leave a connection calm, on both sides."""
    async with mended() as near, mended() as far, _pubsub(near) as sender, _pubsub(far) as receiver:
        await receiver.subscribe("topic")
        await sender.subscribe("topic")
        await ends.join(near, far)
        await ends.until(lambda: far.get_id() in sender.peer_topics.get("topic", set()))
        await ends.until(lambda: near.get_id() in receiver.peer_topics.get("topic", set()))
        for host in (near, far):
            standing = [stream.muxed_stream for stream in host.swarm.get_connections()[0].get_streams()]
            assert [each.in_background for each in standing if not each.closed] == [True, True]
