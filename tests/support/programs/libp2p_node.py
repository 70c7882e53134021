"""A node of a swarm with an echo behind its gateway's address; prints one line of JSON for each thing that happened.

Arguments: its number, a folder, and the multiaddress to begin with, empty for the node that relays.  Node 1 reaches
node 2 as soon as gossip has told of it, and then tells when the way has become a direct one, when it has lost the
relay, and when node 2 answers again.
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
from pathlib import Path
from typing import Any

import anyio
from swarmgate.api import GATEWAY, Endpoint, Node, NodeId, Offer, PartContext
from swarmgate.swarm.membership import join
from swarmgate.swarm.token import Token
from swarmgate.testing.streams import an_echo, converse
from swarmgate_transport_libp2p.ledger import GossipLedger
from swarmgate_transport_libp2p.opening import open_sidecar
from swarmgate_transport_libp2p.options import HostOptions
from swarmgate_transport_libp2p.transport import P2pTransport

_TOKEN = Token(hashlib.sha256(b"a swarm for a test").digest())
PORT = 4001


def member(number: int) -> Any:
    """Return the membership of the node with this *number*."""
    return join(_TOKEN, hashlib.sha256(number.to_bytes(1, "big")).digest())


def tell(**facts: object) -> None:
    """Print *facts*."""
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


async def run(number: int, folder: Path, bootstrap: str) -> None:
    """Be the node until killed."""
    ours = member(number)
    options = HostOptions(
        listen_maddrs=[f"/ip4/0.0.0.0/tcp/{PORT}"],
        relay=not bootstrap,
        bootstrap_peers=[f"{bootstrap}/p2p/{member(0).id}"] if bootstrap else [],
    )
    folder.mkdir(exist_ok=True)
    async with (
        open_sidecar(options, PartContext(Node(ours.id, str(number)), folder, ours)) as sidecar,
        GossipLedger(sidecar, compare_seconds=2.0).running() as ledger,
        an_echo() as echo,
        P2pTransport(sidecar).expose(GATEWAY, echo) as addresses,
    ):
        tell(addresses=addresses)
        await ledger.post(Offer(node=ours.id, service=GATEWAY, name=str(number), addresses=addresses, sequence=1))
        if number != 1:
            await anyio.sleep_forever()
        address = await _address_of(member(2).id, ledger)
        transport = P2pTransport(sidecar)
        async with transport.reach(address) as endpoint:
            data = bytes(4 << 20)
            tell(echoed=await converse(endpoint, data) == data)
            while not transport.ways()[0].rtt_seconds:  # noqa: ASYNC110  # nothing to wait on
                await anyio.sleep(0.05)
            tell(way=transport.ways()[0].kind, connected=len(sidecar.connected))
            direct = False
            while member(0).id in sidecar.connected:
                if not direct and any(way.kind == "direct" for way in transport.ways()):
                    direct = True
                    tell(direct=await converse(endpoint, data) == data)
                await anyio.sleep(0.05)
            tell(lost=time.monotonic())
            while not await _answers(endpoint):  # noqa: ASYNC110  # likewise
                await anyio.sleep(0.5)
            tell(again=True)


async def _answers(endpoint: Endpoint) -> bool:
    try:
        with anyio.fail_after(10.0):
            return await converse(endpoint, b"are you there?") == b"are you there?"
    except (OSError, TimeoutError, anyio.BrokenResourceError, anyio.EndOfStream, ExceptionGroup):
        return False


async def _address_of(node: NodeId, ledger: GossipLedger) -> str:
    async with ledger.watch(GATEWAY) as sets:
        async for offers in sets:
            for offer in offers:
                if offer.node == node:
                    return offer.addresses[0]
    raise AssertionError


if __name__ == "__main__":
    anyio.run(run, int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
