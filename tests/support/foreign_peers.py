"""What tests ask of a libp2p node of somebody else's, whichever implementation it is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass
from typing import Protocol

import anyio
from anyio.streams.buffered import BufferedByteStream
from libp2p_nodes import until
from swarmgate.api import Membership, NodeId
from swarmgate_transport_libp2p.child import hello
from swarmgate_transport_libp2p.ledger import GossipLedger
from swarmgate_transport_libp2p.sidecar import Sidecar

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


@dataclass(frozen=True)
class Ours:
    """Our node, with its copy of the book; *swarm* are memberships for others, by whom they are for."""

    sidecar: Sidecar
    ledger: GossipLedger
    address: str
    topic: str
    swarm: dict[str, Membership]

    @property
    def id(self) -> NodeId:
        """Return its peer id."""
        return self.sidecar.membership.id


class Guest:
    """A foreign node that Python lends what it cannot do: hellos of *member*, whose key it has."""

    def __init__(self, peer: ForeignPeer, member: Membership) -> None:
        self.peer, self.member = peer, member
        #: What those have shown who have dialled it.
        self.callers: list[tuple[NodeId, hello.Shown]] = []

    async def meet(self, ours: Ours) -> hello.Shown:
        """Dial our node, say hello, and return what it showed; once done, both are connected."""
        await self.peer.dial(ours.address)
        shown = await self.greet(ours.id)
        await until(lambda: self.member.id in ours.sidecar.connected)
        return shown

    async def greet(self, peer: NodeId) -> hello.Shown:
        """Say hello to *peer* and return what it shows in answer."""
        async with self.peer.open(peer, hello.PROTOCOL) as stream:
            await stream.send(hello.write(self.member, self.peer.addresses))
            return await self._read(peer, stream)

    async def answer(self, peer: NodeId, stream: BufferedByteStream) -> None:
        """Answer the hello of *peer*, who has dialled, unless its connection ends meanwhile."""
        with suppress(anyio.IncompleteRead, anyio.EndOfStream, anyio.BrokenResourceError):
            self.callers.append((peer, await self._read(peer, stream)))
            await stream.send(hello.write(self.member, self.peer.addresses))

    async def _read(self, peer: NodeId, stream: BufferedByteStream) -> hello.Shown:
        head = await stream.receive_exactly(hello.HEAD_BYTES)
        return hello.read(self.member, await stream.receive_exactly(hello.length(head)), peer)


async def is_refused(peer: ForeignPeer, other: NodeId, protocol: str) -> bool:
    """Return whether *other* does not let *peer* open a stream for *protocol*."""
    try:
        async with peer.open(other, protocol) as stream:
            with anyio.fail_after(10.0):
                await stream.receive()
    except (Refused, anyio.EndOfStream, anyio.BrokenResourceError):
        return True
    return False
