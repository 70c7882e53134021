from __future__ import annotations

import random
import secrets
from typing import Any

import pytest
import trio

pytestmark = [pytest.mark.anyio, pytest.mark.swarm, pytest.mark.usefixtures("_libp2p")]


async def _pair() -> tuple[Any, Any, Any]:
    """Return both ends of a secured connection, and the raw stream of the first."""
    from libp2p.crypto.ed25519 import create_new_key_pair
    from libp2p.crypto.x25519 import create_new_key_pair as create_noise_key_pair
    from libp2p.network.connection.raw_connection import RawConnection
    from libp2p.peer.id import ID
    from swarmgate_transport_libp2p.child.mended.noise import Noise
    from swarmgate_transport_libp2p.child.mended.tcp import BufferedStream

    [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with listener:
        near = await trio.open_tcp_stream("127.0.0.1", listener.socket.getsockname()[1])
        far = await listener.accept()
    keys = [create_new_key_pair(secrets.token_bytes(32)) for _ in range(2)]
    noises = [Noise(key, create_noise_key_pair().private_key) for key in keys]
    ends: dict[str, Any] = {}

    async def accept() -> None:
        ends["far"] = await noises[1].secure_inbound(RawConnection(BufferedStream(far), False))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(accept)
        raw = RawConnection(BufferedStream(near), True)
        ends["near"] = await noises[0].secure_outbound(raw, ID.from_pubkey(keys[1].public_key))
    return ends["near"], ends["far"], near


async def test_each_side_knows_the_other() -> None:
    """After the handshake each end names the other's peer id."""
    near, far, _ = await _pair()
    assert near.get_remote_peer() == far.get_local_peer()
    assert far.get_remote_peer() == near.get_local_peer()
    await near.close()
    await far.close()


async def test_bytes_arrive_whatever_the_sizes() -> None:
    """Two megabytes written in odd pieces and read in others, by size and without, are the same bytes."""
    dice = random.Random(5)
    data = dice.randbytes(2_000_000)
    near, far, _ = await _pair()

    async def pour() -> None:
        at = 0
        while at < len(data):
            size = dice.choice([1, 100, 65_519, 65_520, 200_000])
            await near.write(data[at : at + size])
            at += size
        await near.close()

    from libp2p.io.exceptions import ConnectionClosedError

    got = bytearray()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pour)
        while len(got) < len(data):
            size = dice.choice([None, 1, 1000, 70_000])
            if size is not None:
                size = min(size, len(data) - len(got))
            piece = await far.read(size)
            assert size is None or len(piece) == size
            got += piece
    assert got == data
    with pytest.raises(ConnectionClosedError):
        await far.read(None)
    await far.close()


async def test_what_was_changed_on_the_way_is_refused() -> None:
    """A message that nobody sealed raises, and gives no bytes."""
    near, far, raw = await _pair()
    await raw.send_all((40).to_bytes(2, "big") + bytes(40))
    with pytest.raises(Exception, match=r".*"):
        await far.read(None)
    await near.close()
    await far.close()
