"""A libp2p host as anybody may run one, without the token: tries what it can, and prints what it learned, as JSON.

Arguments: the multiaddress of its victim, and what it tries: ``probe`` says no hello and asks for protocols,
``foreign`` says the hello of another swarm, ``garbage`` sends bytes without sense as its hello,
``flood`` opens many streams, ``curious`` asks who its victim is and waits for the end of that stream alone.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from typing import Any

# first: libp2p may lack a module, for which this puts something
import swarmgate_transport_libp2p.child  # isort: skip  # noqa: F401  # pyright: ignore[reportUnusedImport]
import trio
from libp2p import new_host
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.crypto.x25519 import create_new_key_pair as create_noise_key
from libp2p.network.stream.exceptions import StreamError
from libp2p.peer.peerinfo import info_from_p2p_addr
from libp2p.protocol_muxer.multiselect_communicator import MultiselectCommunicator
from libp2p.security.noise.transport import PROTOCOL_ID as NOISE
from libp2p.security.noise.transport import Transport as NoiseTransport
from multiaddr import Multiaddr
from swarmgate.testing import a_swarm
from swarmgate_transport_libp2p.child import hello

_PROTOCOLS = (
    "/ipfs/id/1.0.0",
    "/ipfs/ping/1.0.0",
    "/ipfs/kad/1.0.0",
    "/meshsub/1.1.0",
    "/swarmgate/tunnel/1",
    "/swarmgate/sync/1",
    "/no/such/thing",
)
_PATIENCE = 15.0


async def run(target: str, attempt: str) -> dict[str, Any]:
    """Return what *attempt* on *target* came to."""
    (member,) = a_swarm("owner")
    pair = create_new_key_pair(member.key)
    host: Any = new_host(
        key_pair=pair, sec_opt={NOISE: NoiseTransport(pair, noise_privkey=create_noise_key().private_key)}
    )
    peer = info_from_p2p_addr(Multiaddr(target))
    learned: dict[str, Any] = {"answered": [], "heard": ""}
    async with host.run([Multiaddr("/ip4/127.0.0.1/tcp/0")]):
        network = host.get_network()
        begun = trio.current_time()
        network.peerstore.add_addrs(peer.peer_id, peer.addrs, 100)
        (connection,) = await network.dial_peer(peer.peer_id)
        async with trio.open_nursery() as tasks:
            match attempt:
                case "probe":
                    for protocol in _PROTOCOLS:
                        tasks.start_soon(_probe, connection, protocol, learned)
                case "foreign":
                    tasks.start_soon(_say, connection, hello.write(member), learned)
                case "garbage":
                    tasks.start_soon(_say, connection, b"\x01\x0b\xff" + os.urandom(0xBFF), learned)
                case "flood":
                    for _ in range(100):
                        tasks.start_soon(_probe, connection, "/ipfs/ping/1.0.0", learned)
                case "curious":
                    with trio.move_on_after(_PATIENCE):
                        await _probe(connection, "/ipfs/id/1.0.0", learned)
                    learned["ended_after"] = round(trio.current_time() - begun, 2)
                case _:
                    sys.exit(f"no such attempt: {attempt}")
            with trio.move_on_after(_PATIENCE):
                await connection.event_closed.wait()
            learned["closed_after"] = round(trio.current_time() - begun, 2)
            learned["closed"] = connection.is_closed
            tasks.cancel_scope.cancel()
    return learned


async def _probe(connection: Any, protocol: str, learned: dict[str, Any]) -> None:
    with suppress(Exception):  # it is closed over it
        stream = await connection.new_stream()
        wire = MultiselectCommunicator(stream)
        await wire.write("/multistream/1.0.0")
        await wire.read()
        await wire.write(protocol)
        learned["answered"].append([protocol, await wire.read()])


async def _say(connection: Any, data: bytes, learned: dict[str, Any]) -> None:
    with suppress(Exception):
        stream = await connection.new_stream()
        wire = MultiselectCommunicator(stream)
        for line in ("/multistream/1.0.0", hello.PROTOCOL):
            await wire.write(line)
            await wire.read()
        await stream.write(data)
        with suppress(StreamError):
            while more := await stream.read(4096):
                learned["heard"] += more.hex()


sys.stdout.write(json.dumps(trio.run(run, *sys.argv[1:])))
sys.stdout.flush()
os._exit(0)
