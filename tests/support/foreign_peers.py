"""What tests ask of a libp2p node of somebody else's, whichever implementation it is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from anyio.streams.buffered import BufferedByteStream
from swarmgate.api import NodeId

#: Called with the peer that opened a stream, and the stream; it is closed afterwards.
Answer = Callable[[NodeId, BufferedByteStream], Awaitable[None]]

#: What anything asked of a foreign node may take, in seconds.
PATIENCE = 20.0


class Refused(Exception):
    """The foreign node could not do what it was told; the message is its own."""


class ForeignPeer(Protocol):
    """A running node: it knows nothing of swarmgate, does what it is told, and says what it sees."""

    #: Its peer id.
    id: NodeId
    #: Where it listens: multiaddresses without the peer's part.
    addresses: tuple[str, ...]
    #: What it has heard on topics: topic and data.
    heard: list[tuple[str, bytes]]

    async def dial(self, address: str) -> None:
        """Connect to the multiaddress *address*, which ends with a peer's part."""
        ...

    async def hang_up(self, peer: NodeId) -> None:
        """End the connections with *peer*."""
        ...

    async def peers(self) -> set[NodeId]:
        """Return who is connected."""
        ...

    def open(self, peer: NodeId, protocol: str) -> AbstractAsyncContextManager[BufferedByteStream]:
        """Hold a stream to *peer* open.

        Raises:
            Refused: the peer does not speak *protocol*, or not with this node.

        """
        ...

    async def handle(self, protocol: str, answer: Answer) -> None:
        """Have *answer* called for each stream that others open for *protocol*."""
        ...

    async def subscribe(self, topic: str) -> None:
        """Add what is published on *topic* to :attr:`heard` from now on."""
        ...

    async def subscribers(self, topic: str) -> set[NodeId]:
        """Return which peers have said that they are subscribed to *topic*."""
        ...

    async def publish(self, topic: str, data: bytes) -> None:
        """Say *data* on *topic*."""
        ...

    async def provide(self, key: bytes) -> None:
        """Have the DHT know that this node provides *key*, a multihash."""
        ...

    async def find(self, key: bytes) -> set[NodeId]:
        """Return who provides *key*, a multihash, as the DHT tells."""
        ...
