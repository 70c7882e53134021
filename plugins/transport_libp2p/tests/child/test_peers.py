from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import anyio
import pytest
import trio
import trio.testing
from libp2p_nodes import PATIENCE, contact, sidecars, until
from swarmgate.api import GATEWAY, NodeId, Revocations, Unreachable
from swarmgate.testing import a_swarm
from swarmgate.testing.streams import a_closed_port, an_echo, converse
from swarmgate_transport_libp2p.addresses import Address, read, write
from swarmgate_transport_libp2p.child.peers import LET_GO, Peers
from swarmgate_transport_libp2p.child.redial import MOST_HELD, SETTLED
from swarmgate_transport_libp2p.transport import P2pTransport

pytestmark = pytest.mark.swarm


@pytest.mark.anyio
async def test_all_addresses_of_a_peer_are_tried(tmp_path: Path) -> None:
    """The last one may be the good one; the others cost a moment, whether they refuse or stay silent."""
    silent = "/ip4/192.0.2.1/tcp/1"  # for documentation: nobody is there, and nobody refuses
    async with sidecars(tmp_path) as pair, an_echo() as echo:
        here, there = map(P2pTransport, pair)
        with a_closed_port() as closed:
            async with there.expose(GATEWAY, echo) as (text,):
                address = read(text)
                hints = (silent, f"/ip4/127.0.0.1/tcp/{closed.port}", *address.hints)
                with anyio.fail_after(5.0):
                    async with here.reach(write(Address(address.peer, "gateway", hints))) as endpoint:
                        assert await converse(endpoint, b"hello") == b"hello"


@pytest.mark.anyio
async def test_why_no_address_led_there_is_said_for_each(tmp_path: Path) -> None:
    """Whoever has to find out what is wrong sees what became of which address."""
    (nobody,) = a_swarm("owner")
    (member,) = a_swarm("owner")
    async with sidecars(tmp_path, member) as (one,):
        with a_closed_port() as first, a_closed_port() as second:
            hints = tuple(f"/ip4/127.0.0.1/tcp/{each.port}" for each in (first, second))
            with anyio.fail_after(PATIENCE), pytest.raises(Unreachable) as caught:
                async with P2pTransport(one).reach(write(Address(nobody.id, "gateway", hints))):
                    pass
        assert all(f"{hint}: " in str(caught.value).partition("cannot be reached")[2] for hint in hints)
        with pytest.raises(Unreachable, match="nobody knows where it is"):
            async with P2pTransport(one).reach(write(Address(a_swarm("owner")[0].id, "gateway"))):
                pass


@pytest.mark.anyio
async def test_who_was_dialled_can_dial_back(tmp_path: Path) -> None:
    """Both sides of a hello know where the other is: whoever's connection is lost, either may make it again."""
    async with sidecars(tmp_path) as (one, other), an_echo() as echo:
        await contact(one, other)  # the other dials
        address = write(Address(other.membership.id, "gateway"))  # and no hints
        async with P2pTransport(other).expose(GATEWAY, echo), P2pTransport(one).reach(address) as endpoint:
            assert await converse(endpoint, b"hello") == b"hello"
        assert other.membership.id in one.keeper.kept.peers


@pytest.mark.anyio
async def test_limits_hold(tmp_path: Path) -> None:
    """With limits set there are no more connections than that, and those there are stay."""
    members = a_swarm("owner", "owner", "owner", "owner", "owner", "owner")
    async with (
        sidecars(tmp_path, members[0], limits=True, max_connections=4) as (full,),
        sidecars(tmp_path, *members[1:]) as others,
    ):
        where = await full.addresses()
        for each in others[:4]:
            each.know(full.membership.id, where)
        await until(lambda: len(full.connected) == 4)
        others[4].know(full.membership.id, where)
        await anyio.sleep(2.0)  # in which it tries
        assert full.connected == {each.membership.id for each in others[:4]}


class Connection:
    """A connection with streams of these protocols."""

    def __init__(self, *protocols: str) -> None:
        self.protocols = protocols

    def get_streams(self) -> list[Any]:
        return [SimpleNamespace(get_protocol=lambda protocol=protocol: protocol) for protocol in self.protocols]


def test_whom_nobody_uses_is_let_go() -> None:
    """Of more than do any good: pubsub's streams keep no connection, a tunnel's does, and so does a hello under way."""
    held = {f"p{number}": Connection("/meshsub/1.1.0", "/meshsub/1.1.0") for number in range(MOST_HELD + 5)}
    held |= {"tunnel": Connection("/meshsub/1.1.0", "/swarmgate/tunnel/1"), "comes": Connection("")}
    banished: list[str] = []
    gate = SimpleNamespace(connections=lambda peer: [held[peer]], banish=banished.append)
    host = SimpleNamespace(get_network=lambda: SimpleNamespace(twins=list), get_id=lambda: "me")

    async def main() -> None:
        async with trio.open_nursery() as tasks:
            relaying = SimpleNamespace(serves=False, relays={})
            peers = Peers(host, cast("Any", gate), cast("Any", relaying), Revocations(()), tasks)
            peers.redial.bounded = True
            for peer in held:
                peers.redial.met(peer, "", trio.current_time())
            await trio.sleep(SETTLED + 10)
            tasks.cancel_scope.cancel()

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
    assert len(set(banished)) >= 7
    assert not {"tunnel", "comes"} & set(banished)


def test_who_is_gone_at_once_is_dialled_again() -> None:
    """A connection that ended while it was made counts as none: else the peer would pass for connected for ever."""
    asked: list[float] = []

    def is_connected(_peer: str) -> bool:
        asked.append(trio.current_time())
        return len(asked) % 2 == 1  # while it is waited for, and no more a moment later

    gate = SimpleNamespace(is_connected=is_connected)
    host = SimpleNamespace(get_network=lambda: SimpleNamespace(twins=list), get_id=lambda: "me")

    async def main() -> None:
        async with trio.open_nursery() as tasks:
            relaying = SimpleNamespace(serves=True, relays={})
            peers = Peers(host, cast("Any", gate), cast("Any", relaying), Revocations(()), tasks)
            peers.know(NodeId("p"), ["/ip4/10.0.0.5/tcp/1"])
            await trio.sleep(10)
            tasks.cancel_scope.cancel()

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
    assert len(asked) >= 2 * 4  # after 0, 0.5, 1.5 and 3.5 seconds


def test_of_two_connections_the_one_that_nobody_uses_is_let_go() -> None:
    """A twin is closed when it has been idle for a while; one through which something goes stays."""
    idle, busy, late = Connection("/meshsub/1.1.0"), Connection("/swarmgate/tunnel/1"), Connection("/meshsub/1.1.0")
    twins, closed = [idle, busy], list[Any]()
    gate = SimpleNamespace(close=closed.append)
    host = SimpleNamespace(get_network=lambda: SimpleNamespace(twins=lambda: list(twins)), get_id=lambda: "me")

    async def main() -> None:
        async with trio.open_nursery() as tasks:
            Peers(host, cast("Any", gate), cast("Any", SimpleNamespace(serves=True, relays={})), Revocations(()), tasks)
            await trio.sleep(LET_GO * 1.5)
            assert closed == []
            twins.append(late)
            await trio.sleep(LET_GO)
            assert closed == [idle]
            tasks.cancel_scope.cancel()

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
    assert closed == [idle]
