"""py-libp2p's pubsub with nothing in it that a peer can bring down, and nothing said to whom we have not admitted."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, cast

import structlog
import trio
from libp2p.abc import INetStream, IPubsubRouter
from libp2p.network.stream.exceptions import StreamEOF
from libp2p.peer.id import ID
from libp2p.pubsub.pb import rpc_pb2
from libp2p.pubsub.pubsub import Pubsub
from libp2p.pubsub.rpc_queue import RpcQueue

from swarmgate_transport_libp2p.child.mended.host import MendedHost
from swarmgate_transport_libp2p.child.mended.stream import MuxedStream

if TYPE_CHECKING:
    from swarmgate_transport_libp2p.child.mended.muxer import Muxer

#: Bytes read at once where none are expected.
_PIECE = 4096

log = structlog.get_logger("swarmgate.libp2p")


class MendedPubsub(Pubsub):
    """A pubsub for a :class:`MendedHost`.

    Writes to a peer do not mix: the stream's own lock keeps each whole, whoever writes.

    Two streams belong to a peer: ours, on which it is told, and its own, on which it tells.  Either may end without the
    other, as when a peer comes back by a new connection before the old one is known to be gone.  So the end of ours is
    noticed by ours, and leaves what was told on the other.
    """

    def __init__(self, host: MendedHost, router: IPubsubRouter, *, max_message: int) -> None:
        super().__init__(host, router, max_inbound_rpc_size=max_message)
        self._mended = host
        self._telling: Counter[ID] = Counter()
        self._opening: dict[ID, trio.Lock] = {}
        host.at_admission(self._welcome)

    async def stream_handler(self, stream: INetStream) -> None:
        """Read what a peer publishes; what cannot be read ends the stream, and the peer is asked for another."""
        peer = stream.muxed_conn.peer_id
        _to_background(stream)
        self._telling[peer] += 1
        try:
            await super().stream_handler(stream)
        except Exception as fault:  # noqa: BLE001  # malformed protobuf raises DecodeError, which libp2p lets end the host
            log.info("pubsub.malformed", peer=str(peer), reason=repr(fault))
            await stream.reset()
        finally:
            self._telling[peer] -= 1
            if not self._telling[peer]:
                del self._telling[peer]
                self._forget_all_subscriptions(peer)

    async def handle_sending_messages(self, peer_id: ID, stream: INetStream, queue: RpcQueue) -> None:
        """Send what is queued for a peer, and notice when its stream has ended, also while nothing is to be sent."""
        _to_background(stream)
        async with trio.open_nursery() as tasks:
            tasks.start_soon(self._notice_end, peer_id, stream)
            await super().handle_sending_messages(peer_id, stream, queue)
            tasks.cancel_scope.cancel()

    async def write_msg(self, stream: INetStream, rpc_msg: rpc_pb2.RPC) -> bool:
        """Write to a peer, without our signed address record: libp2p puts one into each packet, and checks it twice.

        Members tell one another where they are in the hello.
        """
        rpc_msg.ClearField("senderRecord")
        return await super().write_msg(stream, rpc_msg)

    async def push_msg(self, msg_forwarder: ID, msg: rpc_pb2.Message) -> None:
        """Take in a message; one that cannot be is dropped."""
        try:
            await super().push_msg(msg_forwarder, msg)
        except Exception as fault:  # noqa: BLE001  # it runs as a task of the service, which any exception would end
            log.info("pubsub.dropped", peer=str(msg_forwarder), reason=repr(fault))

    async def _handle_new_peer(self, peer_id: ID) -> None:
        if not self._mended.admits(peer_id):  # the first packet names our topics
            return
        lock = self._opening.setdefault(peer_id, trio.Lock())
        try:
            async with lock:  # else two at once would open a stream each
                await super()._handle_new_peer(peer_id)
        finally:
            if not lock.statistics().tasks_waiting:
                self._opening.pop(peer_id, None)

    def _forget_all_subscriptions(self, peer_id: ID) -> None:
        if not self._telling[peer_id]:
            super()._forget_all_subscriptions(peer_id)
        else:
            self._replayed_recent_topics.pop(peer_id, None)  # what was lost with our stream is sent again

    async def _notice_end(self, peer: ID, stream: INetStream) -> None:
        try:
            while await stream.read(_PIECE):
                pass  # nobody has anything to say on a stream of ours
        except StreamEOF:  # it says so, and may listen all the same
            await cast("Muxer", stream.muxed_conn).event_closed.wait()
        except Exception as fault:  # noqa: BLE001  # however it ends; it runs in a task of the service
            log.debug("pubsub.stream_ended", peer=str(peer), reason=repr(fault))
        if self.peers.get(peer) is stream:
            self._handle_dead_peer(peer)  # and so another one is opened, if the peer is there

    def _welcome(self, peer: ID) -> None:
        if self.manager.is_running:
            self.manager.run_task(self._handle_new_peer_with_retry, peer)


def _to_background(stream: INetStream) -> None:
    """Let a silence be noticed late for all that *stream* is concerned: what is said on it, others say too."""
    if isinstance(muxed := getattr(stream, "muxed_stream", None), MuxedStream):
        muxed.to_background()
