from __future__ import annotations

from pathlib import Path

import pytest
from libp2p_nodes import NOWHERE, contact, far_apart, sidecars, until
from swarmgate.api import GATEWAY, Unreachable
from swarmgate.testing import a_swarm
from swarmgate.testing.streams import a_closed_port, an_echo, converse
from swarmgate_transport_libp2p.sidecar import Sidecar
from swarmgate_transport_libp2p.transport import P2pTransport

pytestmark = pytest.mark.swarm


@pytest.mark.anyio
async def test_a_relay_carries_where_no_direct_way_is(tmp_path: Path) -> None:
    """Two that cannot dial each other meet through a member that relays, and the way says so."""
    async with far_apart(tmp_path, hole_punching=False) as (_, _, here, address, endpoint):
        assert NOWHERE in address
        data = bytes(range(256)) * (4 << 10)
        assert await converse(endpoint, data) == data
        await until(lambda: here.ways()[0].kind == "relayed")
        assert here.ways()[0].reason == ""


@pytest.mark.anyio
async def test_a_member_that_was_not_asked_to_relays_for_nobody(tmp_path: Path) -> None:
    """Without the option a node carries nothing of others."""
    middle, *ends = a_swarm("owner", "node", "worker")
    async with (
        sidecars(tmp_path, middle) as (plain,),
        sidecars(tmp_path, *ends, announce_maddrs=[NOWHERE]) as (one, other),
        an_echo() as echo,
    ):
        await contact(plain, one, other)
        async with P2pTransport(other).expose(GATEWAY, echo) as (address,):
            with pytest.raises(Unreachable, match="cannot be reached"):
                async with P2pTransport(one).reach(address):
                    pass


@pytest.mark.anyio
async def test_a_direct_way_is_taken_when_there_is_one(tmp_path: Path) -> None:
    """What begins relayed goes on directly once the peer can be dialled, under the same path."""
    with a_closed_port() as closed:
        told = f"/ip4/127.0.0.1/tcp/{closed.port}"
        async with far_apart(tmp_path, told, hole_punching=False) as (one, other, here, _, endpoint):
            await until(lambda: here.ways()[0].kind == "relayed")
            one.know(other.membership.id, [f"/ip4/127.0.0.1/tcp/{port_of(other)}"])
            await until(lambda: here.ways()[0].kind == "direct")
            assert await converse(endpoint, b"hello") == b"hello"


def port_of(sidecar: Sidecar) -> int:
    """Return where a node really listens, whatever it tells others."""
    return sidecar.keeper.kept.port
