"""py-libp2p's pubsub with nothing in it that a peer can bring down, and nothing said to whom we have not admitted."""

from __future__ import annotations

import structlog
from libp2p.abc import INetStream, IPubsubRouter
from libp2p.peer.id import ID
from libp2p.pubsub.pb import rpc_pb2
from libp2p.pubsub.pubsub import Pubsub

from swarmgate_transport_libp2p.child.mended.host import MendedHost

log = structlog.get_logger("swarmgate.libp2p")


class MendedPubsub(Pubsub):
    """A pubsub for a :class:`MendedHost`.

    Writes to a peer do not mix: the stream's own lock keeps each whole, whoever writes.
    """

    def __init__(self, host: MendedHost, router: IPubsubRouter, *, max_message: int) -> None:
        super().__init__(host, router, max_inbound_rpc_size=max_message)
        self._mended = host
        host.at_admission(self._welcome)

    async def stream_handler(self, stream: INetStream) -> None:
        """Read what a peer publishes; what cannot be read ends the stream, and the peer is asked for another."""
        peer = stream.muxed_conn.peer_id
        try:
            await super().stream_handler(stream)
        except Exception as fault:  # noqa: BLE001  # malformed protobuf raises DecodeError, which libp2p lets end the host
            log.info("pubsub.malformed", peer=str(peer), reason=repr(fault))
            await stream.reset()

    async def push_msg(self, msg_forwarder: ID, msg: rpc_pb2.Message) -> None:
        """Take in a message; one that cannot be is dropped."""
        try:
            await super().push_msg(msg_forwarder, msg)
        except Exception as fault:  # noqa: BLE001  # it runs as a task of the service, which any exception would end
            log.info("pubsub.dropped", peer=str(msg_forwarder), reason=repr(fault))

    async def _handle_new_peer(self, peer_id: ID) -> None:
        if self._mended.admits(peer_id):  # the first packet names our topics
            await super()._handle_new_peer(peer_id)

    def _welcome(self, peer: ID) -> None:
        if self.manager.is_running:
            self.manager.run_task(self._handle_new_peer_with_retry, peer)
