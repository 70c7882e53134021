"""A node of ours, and nodes of other people's libp2p: js-libp2p and go-libp2p."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager

import pytest
from foreign_peers import ForeignPeer, Guest, Ours
from go_libp2p import a_go_peer
from js_libp2p import a_js_peer
from libp2p_nodes import a_sidecar
from swarmgate.api import Membership
from swarmgate.testing import a_swarm
from swarmgate_transport_libp2p.child import hello
from swarmgate_transport_libp2p.child.gossip import topic_of
from swarmgate_transport_libp2p.ledger import GossipLedger

MakePeer = Callable[[Membership], AbstractAsyncContextManager[ForeignPeer]]
MAKERS: dict[str, MakePeer] = {"js": a_js_peer, "go": a_go_peer}


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """Run on one loop: what is tested is the child, which does not know which one its gateway has."""
    return "asyncio"


@pytest.fixture(scope="module")
async def ours(anyio_backend: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Ours]:
    """Hold a real node open that gossips and seeks, on loopback."""
    member, *others = a_swarm("owner", "node", "node", "node", "node")
    async with (
        a_sidecar(member, tmp_path_factory.mktemp("ours"), log_level="debug") as sidecar,
        GossipLedger(sidecar).running() as ledger,
    ):
        sidecar.seek()
        address = f"{(await sidecar.addresses())[0]}/p2p/{member.id}"
        yield Ours(
            sidecar, ledger, address, topic_of(member), dict(zip(("js", "go", "new js", "new go"), others, strict=True))
        )


@pytest.fixture(scope="module", params=list(MAKERS))
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


@pytest.fixture(params=list(MAKERS))
async def newcomer(ours: Ours, request: pytest.FixtureRequest) -> AsyncGenerator[Guest]:
    """Hold a foreign node open that has a certificate of our swarm, and that nobody has met."""
    member = ours.swarm[f"new {request.param}"]
    async with MAKERS[request.param](member) as peer:
        yield Guest(peer, member)
