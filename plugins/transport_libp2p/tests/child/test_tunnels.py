from __future__ import annotations

import hashlib
import secrets

import anyio
import pytest
from libp2p_nodes import PATIENCE
from swarmgate.api import GATEWAY
from swarmgate.testing.streams import a_closed_port, an_echo, converse
from swarmgate_transport_libp2p.sidecar import Sidecar
from swarmgate_transport_libp2p.transport import P2pTransport

pytestmark = pytest.mark.swarm
#: More than the library's yamux could have open.
MANY = 300


@pytest.mark.anyio
async def test_many_connections_are_open_at_once(pair: list[Sidecar]) -> None:
    """Beyond 256 the library's own streams would wait for ever; each still gets its own bytes back."""
    here, there = map(P2pTransport, pair)
    all_open = anyio.Event()
    opened, back = 0, dict[int, bytes]()

    async with an_echo() as echo, there.expose(GATEWAY, echo) as (address,), here.reach(address) as endpoint:

        async def talk(number: int) -> None:
            nonlocal opened
            async with await anyio.connect_tcp(endpoint.host, endpoint.port) as stream:
                await stream.send(number.to_bytes(2, "big"))
                back[number] = await stream.receive()
                opened += 1
                if opened == MANY:
                    all_open.set()
                await all_open.wait()

        with anyio.fail_after(PATIENCE):
            async with anyio.create_task_group() as tasks:
                for number in range(MANY):
                    tasks.start_soon(talk, number)
    assert back == {number: number.to_bytes(2, "big") for number in range(MANY)}


@pytest.mark.anyio
async def test_much_arrives_intact(pair: list[Sidecar]) -> None:
    """64 MiB of noise come back as they went, by hash."""
    data = secrets.token_bytes(1 << 20) * 64
    here, there = map(P2pTransport, pair)
    async with an_echo() as echo, there.expose(GATEWAY, echo) as (address,), here.reach(address) as endpoint:
        with anyio.fail_after(PATIENCE):
            back = await converse(endpoint, data)
    assert hashlib.sha256(back).digest() == hashlib.sha256(data).digest()


@pytest.mark.anyio
async def test_a_service_that_does_not_answer_is_reset(pair: list[Sidecar]) -> None:
    """What stands behind the address may be gone while the address is held; nobody takes that for an empty answer."""
    here, there = map(P2pTransport, pair)
    with a_closed_port() as closed:
        async with (
            there.expose(GATEWAY, closed) as (address,),
            here.reach(address) as endpoint,
            await anyio.connect_tcp(endpoint.host, endpoint.port) as stream,
        ):
            with anyio.fail_after(PATIENCE), pytest.raises(anyio.BrokenResourceError):
                await stream.receive()
