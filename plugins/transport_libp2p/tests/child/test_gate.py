from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import msgspec
import pytest
import trio
from libp2p_nodes import PATIENCE, contact, sidecars, until
from structlog.testing import capture_logs
from swarmgate.api import GATEWAY, Unreachable
from swarmgate.testing import a_swarm
from swarmgate.testing.streams import an_echo, converse
from swarmgate_transport_libp2p.child import hello
from swarmgate_transport_libp2p.child.gate import IDENTIFY_PATIENCE as IDENTIFY_SECONDS
from swarmgate_transport_libp2p.child.gate import PATIENCE as HELLO_SECONDS
from swarmgate_transport_libp2p.child.gate import Gate
from swarmgate_transport_libp2p.sidecar import Sidecar
from swarmgate_transport_libp2p.transport import P2pTransport

pytestmark = pytest.mark.swarm
_STRANGER = Path(__file__).parents[4] / "tests" / "support" / "programs" / "libp2p_stranger.py"


async def what_a_stranger_learns(of: Sidecar, attempt: str) -> dict[str, Any]:
    """Return what somebody without the token comes to know of a node, and how that ends."""
    target = f"{(await of.addresses())[0]}/p2p/{of.membership.id}"
    with anyio.fail_after(PATIENCE):
        done = await anyio.run_process([sys.executable, str(_STRANGER), target, attempt], stderr=None)
    return msgspec.json.decode(done.stdout)


@pytest.mark.anyio
@pytest.mark.parametrize("attempt", ["probe", "flood"])
async def test_without_a_hello_nothing_is_answered(pair: list[Sidecar], attempt: str) -> None:
    """A stranger is told of no protocol whether there is such a one, and is closed when it has said no hello."""
    learned = await what_a_stranger_learns(pair[0], attempt)
    assert learned["answered"] == []
    assert learned["closed"]
    assert HELLO_SECONDS - 1 < learned["closed_after"] < HELLO_SECONDS + 4


@pytest.mark.anyio
async def test_who_we_are_is_refused_before_the_hello_has_to_come(pair: list[Sidecar]) -> None:
    """Go says its hello only after that question has come to an end: it is refused early, without an answer."""
    learned = await what_a_stranger_learns(pair[0], "curious")
    assert learned["answered"] == []
    assert IDENTIFY_SECONDS - 0.5 < learned["ended_after"] < HELLO_SECONDS - 1
    assert HELLO_SECONDS - 1 < learned["closed_after"] < HELLO_SECONDS + 4


@pytest.mark.anyio
@pytest.mark.parametrize("attempt", ["foreign", "garbage"])
async def test_a_bad_hello_is_closed_without_a_word(pair: list[Sidecar], attempt: str) -> None:
    """Another swarm's hello, and bytes without sense, are answered by closing, at once."""
    with capture_logs() as logs:
        learned = await what_a_stranger_learns(pair[0], attempt)
    assert learned["heard"] == ""
    assert learned["closed"]
    assert learned["closed_after"] < HELLO_SECONDS - 1
    (reason,) = [log["reason"] for log in logs if log["event"] == "p2p.stranger_closed"]
    assert "not of this swarm" in reason


@pytest.mark.anyio
async def test_members_are_answered_while_strangers_knock(pair: list[Sidecar]) -> None:
    """Strangers who stay silent keep nobody out."""
    here, there = map(P2pTransport, pair)
    async with an_echo() as echo, there.expose(GATEWAY, echo) as (address,), anyio.create_task_group() as tasks:
        tasks.start_soon(what_a_stranger_learns, pair[1], "flood")
        tasks.start_soon(what_a_stranger_learns, pair[1], "foreign")
        async with here.reach(address) as endpoint:
            assert await converse(endpoint, b"hello") == b"hello"


@pytest.mark.anyio
async def test_two_swarms_do_not_reach_each_other(pair: list[Sidecar], tmp_path: Path) -> None:
    """Who dials a member of another swarm is told that one of both does not belong."""
    (stranger,) = a_swarm("owner")
    async with sidecars(tmp_path, stranger) as (other,), an_echo() as echo:
        for one, two in ((other, pair[0]), (pair[0], other)):
            async with P2pTransport(two).expose(GATEWAY, echo) as (address,):
                with pytest.raises(Unreachable, match="did not answer our hello"):
                    async with P2pTransport(one).reach(address):
                        pass
        assert stranger.id not in pair[0].connected
        assert not other.connected


@pytest.mark.anyio
async def test_a_revoked_member_is_cut_off_at_once(tmp_path: Path) -> None:
    """What goes through its connections is reset, and it gets none again."""
    owner, node = a_swarm("owner", "node")
    async with sidecars(tmp_path, owner, node) as pair, an_echo() as echo:
        here, there = map(P2pTransport, pair)
        async with there.expose(GATEWAY, echo) as (address,), here.reach(address) as endpoint:
            stream = await anyio.connect_tcp(endpoint.host, endpoint.port)
            await stream.send(b"hello")
            assert await stream.receive() == b"hello"
            owner.revocations.add(node.id)
            with anyio.fail_after(3.0), pytest.raises(anyio.BrokenResourceError):
                await stream.receive()
            await stream.aclose()
            await until(lambda: node.id not in pair[0].connected)
            with pytest.raises(Unreachable, match="is revoked"):
                async with here.reach(address):
                    pass
            pair[1].know(owner.id, await pair[0].addresses())
            await anyio.sleep(2.0)  # in which it tries, and is refused
            assert node.id not in pair[0].connected


@pytest.mark.anyio
async def test_a_killed_peer_is_noticed_at_once(tmp_path: Path) -> None:
    """Its end is known within a second, and it is known again when it is back."""
    async with sidecars(tmp_path) as (one, other):
        await contact(one, other)
        assert other.child.pid
        os.kill(other.child.pid, signal.SIGKILL)
        await until(lambda: other.membership.id not in one.connected, seconds=1.0)
        await until(lambda: other.membership.id in one.connected)


@pytest.mark.anyio
async def test_a_silent_peer_is_noticed_within_five_seconds(tmp_path: Path) -> None:
    """A peer through which something goes is gone when its process stands still; it is known again when it goes on."""
    async with sidecars(tmp_path) as (one, other):
        await contact(one, other)
        async with (
            an_echo() as echo,
            P2pTransport(other).expose(GATEWAY, echo) as (address,),
            P2pTransport(one).reach(address) as endpoint,
            await anyio.connect_tcp(endpoint.host, endpoint.port) as stream,
        ):
            await stream.send(b"hello")
            assert await stream.receive() == b"hello"
            assert other.child.pid
            os.kill(other.child.pid, signal.SIGSTOP)
            try:
                await until(lambda: other.membership.id not in one.connected, seconds=5.5)
            finally:
                os.kill(other.child.pid, signal.SIGCONT)
        await until(lambda: other.membership.id in one.connected)


def test_who_ends_while_it_shows_itself_is_no_member_that_is_connected() -> None:
    """Its certificate is good, and nothing leads to it: it may be dialled again."""
    (member,) = a_swarm("owner")
    connections: list[Any] = []
    network = SimpleNamespace(
        common_stream_handler=None,
        notify_connected=None,
        notify_disconnected=None,
        set_stream_handler=lambda _handler: None,
        get_connections=lambda _peer: connections,
    )
    host = SimpleNamespace(get_network=lambda: network, set_stream_handler=lambda _protocol, _handler: None)
    met: list[str] = []

    async def main() -> None:
        async with trio.open_nursery() as tasks:
            gate = Gate(
                host,
                member,
                tasks,
                met=lambda peer, _connection: met.append(peer),
                parted=lambda _peer: None,
                told=lambda *_what, **_facts: None,
            )
            gate.members[member.id] = hello.Shown(member.certificate)
            assert not gate.is_connected(member.id)
            gone = SimpleNamespace(is_closed=True, muxed_conn=SimpleNamespace(peer_id=member.id))
            await gate._admit(gone)
            assert (gate.members, met) == ({}, [])
            tasks.cancel_scope.cancel()

    trio.run(main)
