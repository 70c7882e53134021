"""Carries what members say to all, by gossipsub on one topic, and to one another, by a stream for each message.

Only bytes are carried here; what they mean, the gateway's ledger knows.  A message on the topic is sealed for members
(purpose ``gossip``), and what cannot be unsealed is dropped before it is passed on.  The topic's name is derived from
the swarm's secrets, so that nobody else knows what to subscribe to.
"""

from __future__ import annotations

import hmac
from collections import Counter, deque
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import trio
from libp2p.peer.id import ID
from libp2p.pubsub.gossipsub import PROTOCOL_ID, PROTOCOL_ID_V11, GossipSub
from libp2p.tools.anyio_service import background_trio_service
from swarmgate.api import Membership, NodeId, Unreachable, WireError

from swarmgate_transport_libp2p.child import wires
from swarmgate_transport_libp2p.child.mended.gossip import MendedPubsub
from swarmgate_transport_libp2p.messages import LARGEST_SAID, LARGEST_SPREAD, Channel

PROTOCOLS: dict[Channel, str] = {"sync": "/swarmgate/sync/1", "offers": "/swarmgate/offers/1"}
_LENGTH_BYTES = 4
_SECONDS = 10.0
#: The most messages of one peer that are read, and on their way to one peer, at the same time.
_MOST_AT_ONCE = 8
_HEARTBEAT_SECONDS = 1
#: The most messages that wait to be published.
_MOST_WAITING = 1024
#: A neighbour's queue holds 32 messages, and drops more: with so many in it we wait, for no longer than so many
#: seconds, and look again after so many.
_QUEUED, _TAKEN_SECONDS, _LOOKED_SECONDS = 16, 1.0, 0.005
#: Gossipsub's mesh: how many neighbours a node wants, and at least and at most has.  Each sends every message, so that
#: what is wanted of 6 by default, and borne up to 12, comes nine times over in a swarm of twelve.
_DEGREE, _LOW, _HIGH = 4, 3, 6


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
        self.topic = topic_of(membership)
        self._host, self._membership, self._tasks = host, membership, tasks
        self._published, self._said = published, said
        self._coming: Counter[NodeId] = Counter()
        self._going: Counter[NodeId] = Counter()
        self._pubsub: Any = None
        self._joined = False
        self._to_publish: deque[bytes] = deque(maxlen=_MOST_WAITING)
        self._news = trio.Event()
        for channel, protocol in PROTOCOLS.items():
            host.set_stream_handler(protocol, self._listener(channel))

    def __repr__(self) -> str:
        return f"<Gossip {'joined' if self._joined else 'not joined'}>"

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Hold pubsub running; before any connection is made, as it hears of new ones alone."""
        router = GossipSub(
            # not 1.2: it tells all neighbours of each message that it need not be sent, and ours are short
            protocols=[PROTOCOL_ID_V11, PROTOCOL_ID],
            degree=_DEGREE,
            degree_low=_LOW,
            degree_high=_HIGH,
            heartbeat_interval=_HEARTBEAT_SECONDS,
            spam_protection_enabled=False,  # it would drop what members pass on, above ten messages a second
        )
        self._pubsub = _Pubsub(self._host, router, self._hear)
        self._pubsub.set_topic_validator(self.topic, self._is_ours, False)
        async with background_trio_service(router), background_trio_service(self._pubsub):
            await self._pubsub.wait_until_ready()
            self._tasks.start_soon(self._publish_all)
            yield

    async def join(self) -> None:
        """Take part in the topic."""
        if not self._joined:
            self._joined = True
            await self._pubsub.subscribe(self.topic)

    def publish(self, data: bytes) -> None:
        """Have *data*, which is sealed, said to all on the topic."""
        if len(data) <= LARGEST_SPREAD:
            self._to_publish.append(data)
            self._news.set()

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

    def _hear(self, message: Any) -> None:
        if bytes(message.from_id) != self._host.get_id().to_bytes():
            self._published(bytes(message.data))

    async def _publish_all(self) -> None:
        """Say what is to be said, no faster than the neighbours take it: the library drops what they do not."""
        while True:
            await self._news.wait()
            self._news = trio.Event()
            while self._to_publish:
                data = self._to_publish.popleft()
                with trio.move_on_after(_TAKEN_SECONDS):
                    while any(len(queue) > _QUEUED for queue in self._pubsub.peer_queues.values()):  # noqa: ASYNC110  # no event
                        await trio.sleep(_LOOKED_SECONDS)
                with suppress(Exception):  # nobody to say it to, it may be; the ledgers compare their books
                    await self._pubsub.publish(self.topic, data)

    async def _send(self, peer: NodeId, channel: Channel, data: bytes) -> None:
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


class _Pubsub(MendedPubsub):
    """A pubsub that hands each message to *hear*: the library's own subscriptions drop what is not read at once."""

    def __init__(self, host: Any, router: Any, hear: Callable[[Any], None]) -> None:
        super().__init__(host, router, max_message=4 * LARGEST_SPREAD)
        self._hear = hear

    def notify_subscriptions(self, publish_message: Any) -> None:
        """Pass a message on that has been found good."""
        self._hear(publish_message)


def topic_of(membership: Membership) -> str:
    """Return the name of the swarm's topic, which only members can know."""
    return hmac.digest(membership.rendezvous, b"topic 1", "sha256").hex()[:40]
