"""Carries what members say to all, by gossipsub on one topic, and to one another, by a stream for each message.

Only bytes are carried here; what they mean, the gateway's ledger knows.  A message on the topic is sealed for members
(purpose ``gossip``), and what cannot be unsealed is dropped before it is passed on.  The topic's name is derived from
the swarm's secrets, so that nobody else knows what to subscribe to.
"""

from __future__ import annotations

import hmac
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import trio
from swarmgate.api import Membership, NodeId, Unreachable, WireError

from swarmgate_transport_libp2p.child import wires
from swarmgate_transport_libp2p.messages import Channel

#: Above 64 KiB the library's two writers mix up their frames; honest messages are 30 kB at most, in bytes.
LARGEST_SPREAD = 32_768
#: The most one peer may say to another directly, in bytes: the digest of a full book.
LARGEST_SAID = 1 << 18
PROTOCOLS: dict[Channel, str] = {"sync": "/swarmgate/sync/1", "offers": "/swarmgate/offers/1"}
_LENGTH_BYTES = 4
_SECONDS = 10.0
#: The most messages of one peer that are read, and on their way to one peer, at the same time.
_MOST_AT_ONCE = 8
_HEARTBEAT_SECONDS = 1
#: Gossipsub's mesh: how many neighbours a node wants, and at least and at most has.
_DEGREE, _LOW, _HIGH = 6, 4, 12


class Gossip:
    """The swarm's topic, and direct messages; *published* and *said* are called with what others say."""

    def __init__(
        self,
        host: Any,
        membership: Membership,
        tasks: trio.Nursery,
        *,
        published: Callable[[bytes], None],
        said: Callable[[NodeId, Channel, bytes], None],
    ) -> None:
        self.topic = hmac.digest(membership.rendezvous, b"topic 1", "sha256").hex()[:40]
        self._host, self._membership, self._tasks = host, membership, tasks
        self._published, self._said = published, said
        self._coming: Counter[NodeId] = Counter()
        self._going: Counter[NodeId] = Counter()
        self._pubsub: Any = None
        self._joined = False
        for channel, protocol in PROTOCOLS.items():
            host.set_stream_handler(protocol, self._listener(channel))

    def __repr__(self) -> str:
        return f"<Gossip {'joined' if self._joined else 'not joined'}>"

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Hold pubsub running; before any connection is made, as it hears of new ones alone."""
        from libp2p.pubsub.gossipsub import PROTOCOL_ID, PROTOCOL_ID_V11, PROTOCOL_ID_V12, GossipSub
        from libp2p.tools.anyio_service import background_trio_service

        from swarmgate_transport_libp2p.child.mended.gossip import MendedPubsub

        router = GossipSub(
            protocols=[PROTOCOL_ID_V12, PROTOCOL_ID_V11, PROTOCOL_ID],
            degree=_DEGREE,
            degree_low=_LOW,
            degree_high=_HIGH,
            heartbeat_interval=_HEARTBEAT_SECONDS,
            spam_protection_enabled=False,  # it would drop what members pass on, above ten messages a second
        )
        self._pubsub = MendedPubsub(self._host, router, max_message=4 * LARGEST_SPREAD)
        self._pubsub.set_topic_validator(self.topic, self._is_ours, False)
        async with background_trio_service(router), background_trio_service(self._pubsub):
            await self._pubsub.wait_until_ready()
            yield

    async def join(self) -> None:
        """Take part in the topic."""
        if not self._joined:
            self._joined = True
            subscription = await self._pubsub.subscribe(self.topic)
            self._tasks.start_soon(self._listen, subscription)

    async def publish(self, data: bytes) -> None:
        """Say *data*, which is sealed, to all on the topic."""
        if len(data) <= LARGEST_SPREAD and self._joined:
            with suppress(Exception):  # nobody to say it to, it may be; the ledgers compare their books
                await self._pubsub.publish(self.topic, data)

    def say(self, peer: NodeId, channel: Channel, data: bytes) -> None:
        """Say *data* to *peer*, if it is connected and not too much is on its way already."""
        if len(data) <= LARGEST_SAID and self._going[peer] < _MOST_AT_ONCE:
            self._going[peer] += 1
            self._tasks.start_soon(self._send, peer, channel, data)

    def _is_ours(self, _forwarder: Any, message: Any) -> bool:
        data = bytes(message.data)
        if len(data) > LARGEST_SPREAD:
            return False
        try:
            self._membership.unseal(data, purpose=b"gossip")
        except WireError:
            return False
        return True

    async def _listen(self, subscription: Any) -> None:
        ours = self._host.get_id().to_bytes()
        async for message in subscription:
            if bytes(message.from_id) != ours:
                self._published(bytes(message.data))

    async def _send(self, peer: NodeId, channel: Channel, data: bytes) -> None:
        from libp2p.peer.id import ID

        async def work() -> None:
            stream = await self._host.new_stream(ID.from_base58(peer), [PROTOCOLS[channel]])
            await wires.write_all(stream, len(data).to_bytes(_LENGTH_BYTES, "big") + data)
            await stream.close()

        try:
            await wires.within(self._tasks, _SECONDS, work)
        except Unreachable:
            pass  # it is gone, or is not interested: both are in order
        finally:
            self._going[peer] -= 1
            if not self._going[peer]:
                del self._going[peer]

    def _listener(self, channel: Channel) -> Callable[[Any], Any]:
        async def handle(stream: Any) -> None:
            peer = NodeId(str(stream.muxed_conn.peer_id))
            if self._coming[peer] >= _MOST_AT_ONCE:
                await wires.reset(stream)
                return
            self._coming[peer] += 1
            try:
                async with wires.or_reset(self._tasks, stream, _SECONDS):
                    size = int.from_bytes(await wires.read_exactly(stream, _LENGTH_BYTES), "big")
                    if size > LARGEST_SAID:
                        await wires.reset(stream)
                        return
                    data = await wires.read_exactly(stream, size)
                    await stream.close()
            except wires.StreamLost:
                return
            finally:
                self._coming[peer] -= 1
                if not self._coming[peer]:
                    del self._coming[peer]
            self._said(peer, channel, data)

        return handle
