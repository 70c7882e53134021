"""A node of ours, and nodes of other people's libp2p: js-libp2p and go-libp2p."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

import anyio
import pytest
from anyio.streams.buffered import BufferedByteStream
from foreign_peers import ForeignPeer, Refused
from go_libp2p import a_go_peer
from js_libp2p import a_js_peer
from libp2p_nodes import a_sidecar, until
from swarmgate.api import Membership, NodeId
from swarmgate.testing import a_swarm
from swarmgate_transport_libp2p.child import hello
from swarmgate_transport_libp2p.ledger import GossipLedger
from swarmgate_transport_libp2p.sidecar import Sidecar

MakePeer = Callable[[Membership], AbstractAsyncContextManager[ForeignPeer]]
MAKERS: dict[str, MakePeer] = {"js": a_js_peer, "go": a_go_peer}


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Run on one loop: what is tested is the child, which does not know which one its gateway has."""
    return "asyncio"


@dataclass(frozen=True)
class Ours:
    """Our node, with its copy of the book; *swarm* are memberships for others, by implementation."""

    sidecar: Sidecar
    ledger: GossipLedger
    address: str
    swarm: dict[str, Membership]

    @property
    def id(self) -> NodeId:
        """Return its peer id."""
        return self.sidecar.membership.id


@pytest.fixture(scope="session")
async def ours(anyio_backend: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Ours]:
    """Hold a real node open that gossips and seeks, on loopback."""
    member, *others = a_swarm("owner", *("node" for _ in MAKERS))
    async with (
        a_sidecar(member, tmp_path_factory.mktemp("ours"), log_level="debug") as sidecar,
        GossipLedger(sidecar).running() as ledger,
    ):
        sidecar.seek()
        address = f"{(await sidecar.addresses())[0]}/p2p/{member.id}"
        yield Ours(sidecar, ledger, address, dict(zip(MAKERS, others, strict=True)))


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
        """Answer the hello of *peer*, who has dialled."""
        self.callers.append((peer, await self._read(peer, stream)))
        await stream.send(hello.write(self.member, self.peer.addresses))

    async def _read(self, peer: NodeId, stream: BufferedByteStream) -> hello.Shown:
        head = await stream.receive_exactly(hello.HEAD_BYTES)
        return hello.read(self.member, await stream.receive_exactly(hello.length(head)), peer)


@pytest.fixture(scope="session", params=list(MAKERS))
async def guest(ours: Ours, request: pytest.FixtureRequest) -> AsyncGenerator[Guest]:
    """Hold a foreign node open that has a certificate of our swarm."""
    member = ours.swarm[request.param]
    async with MAKERS[request.param](member) as peer:
        made = Guest(peer, member)
        await peer.handle(hello.PROTOCOL, made.answer)
        yield made


@pytest.fixture(params=list(MAKERS))
async def stranger(anyio_backend: str, request: pytest.FixtureRequest) -> AsyncGenerator[Guest]:
    """Hold a foreign node open that belongs to another swarm."""
    (member,) = a_swarm("owner")
    async with MAKERS[request.param](member) as peer:
        yield Guest(peer, member)


async def is_refused(peer: ForeignPeer, other: NodeId, protocol: str) -> bool:
    """Return whether *other* does not let *peer* open a stream for *protocol*."""
    try:
        async with peer.open(other, protocol) as stream:
            with anyio.fail_after(10.0):
                await stream.receive()
    except (Refused, anyio.EndOfStream, anyio.BrokenResourceError):
        return True
    return False
