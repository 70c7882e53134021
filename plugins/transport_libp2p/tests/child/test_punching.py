from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import trio
import trio.testing
from libp2p_nodes import far_apart, until
from swarmgate.api import NodeId, Unreachable
from swarmgate.testing import a_swarm
from swarmgate.testing.streams import converse
from swarmgate_transport_libp2p.child import holes, punching
from swarmgate_transport_libp2p.child.punching import Punching

pytestmark = pytest.mark.swarm


@pytest.mark.anyio
async def test_a_relayed_way_becomes_direct(tmp_path: Path) -> None:
    """Two that tell nobody a good address dial each other where the relay sees them; the path stays the same."""
    async with far_apart(tmp_path) as (_, _, here, _, endpoint):
        await until(lambda: here.ways()[0].kind == "relayed")
        await until(lambda: here.ways()[0].kind == "direct")
        assert await converse(endpoint, b"hello") == b"hello"


class End:
    """One end of a stream between two peers; what is written comes out of :attr:`other`."""

    def __init__(self, peer: NodeId) -> None:
        self.muxed_conn = SimpleNamespace(peer_id=peer, is_closed=False, event_shutting_down=None)
        self.muxed_stream = SimpleNamespace(reset_received=False)
        self.sends, self.receives = trio.open_memory_channel[bytes](64)
        self.left, self.other = b"", self

    async def write(self, data: bytes) -> None:
        await self.other.sends.send(data)

    async def read(self, most: int) -> bytes:
        if not self.left:
            try:
                self.left = await self.receives.receive()
            except trio.EndOfChannel:
                return b""
        data, self.left = self.left[:most], self.left[most:]
        return data

    async def close_write(self) -> None:
        self.other.sends.close()

    async def reset(self) -> None:
        for end in (self, self.other):
            end.muxed_stream.reset_received = True
            end.sends.close()


class Side:
    """A peer as far as punching goes: which dials it makes, and whether they come to anything."""

    def __init__(self, name: str, number: int, tasks: trio.Nursery, *, succeeds: bool = True) -> None:
        (member,) = a_swarm("owner")
        self.id, self.relayed, self.port = member.id, True, 4000 + number
        self.dials: list[tuple[str, str, Any]] = []
        self.succeeds, self.name = succeeds, name
        self.handler: Callable[[Any], Any] = lambda _: None
        self.other: Side | None = None
        self.told: list[str] = []
        relaying: Any = SimpleNamespace(relays={})
        self.punching = Punching(
            self,
            relaying,
            tasks,
            is_relayed=lambda _: self.relayed,
            told=lambda *facts, **_: self.told.append(facts[1]),
        )

        async def where() -> list[str]:
            return [f"/ip4/203.0.113.{number}/tcp/{self.port}"]

        self.punching._where_we_are = where

    def get_id(self) -> NodeId:
        return self.id

    def get_network(self) -> Side:
        return self

    def get_transport_addrs(self) -> list[str]:
        return [f"/ip4/0.0.0.0/tcp/{self.port}"]

    def set_stream_handler(self, protocol: str, handler: Callable[[Any], Any]) -> None:
        assert protocol == "/libp2p/dcutr"
        self.handler = handler

    async def new_stream(self, peer: Any, protocols: list[str]) -> End:
        assert self.other is not None
        assert (str(peer), protocols) == (self.other.id, [holes.PROTOCOL])
        near, far = End(self.other.id), End(self.id)
        near.other, far.other = far, near
        trio.lowlevel.spawn_system_task(self.other.handler, far)
        return near

    async def dial_addr(self, address: Any, peer: Any, source: Any) -> None:
        await self._dial("client", address, source)

    async def dial_addr_as_responder(self, address: Any, peer: Any, source: Any) -> None:
        await self._dial("server", address, source)

    async def _dial(self, role: str, address: Any, source: Any) -> None:
        self.dials.append((role, str(address), source))
        await trio.lowlevel.checkpoint()
        if not self.succeeds:
            raise OSError("refused")
        self.relayed = False


def _pair(tasks: trio.Nursery, *, succeeds: bool = True) -> tuple[Side, Side]:
    one, other = Side("one", 1, tasks, succeeds=succeeds), Side("other", 2, tasks, succeeds=succeeds)
    one.other, other.other = other, one
    return one, other


def _run(test: Callable[[trio.Nursery], Any]) -> None:
    async def within_a_minute() -> None:
        with trio.fail_after(60.0):
            async with trio.open_nursery() as tasks:
                await test(tasks)
                tasks.cancel_scope.cancel()

    trio.run(within_a_minute, clock=trio.testing.MockClock(autojump_threshold=0.01))


def test_who_begins_is_the_one_that_was_dialled() -> None:
    """Both dial from the port they listen on; who begins is Noise's responder, as the specification has it."""

    async def test(tasks: trio.Nursery) -> None:
        one, other = _pair(tasks)
        await one.punching.punch(other.id)
        assert one.dials == [("server", "/ip4/203.0.113.2/tcp/4002", ("0.0.0.0", 4001))]  # noqa: S104  # compared
        assert other.dials == [("client", "/ip4/203.0.113.1/tcp/4001", ("0.0.0.0", 4002))]  # noqa: S104  # likewise

    _run(test)


def test_it_is_given_up_after_three_attempts() -> None:
    """A NAT that does not let us through costs three attempts, each of some seconds, and why is said."""

    async def test(tasks: trio.Nursery) -> None:
        one, other = _pair(tasks, succeeds=False)
        with pytest.raises(Unreachable, match=r"/ip4/203.0.113.2/tcp/4002: refused"):
            await one.punching.punch(other.id)
        assert one.told.count("punched") == punching.ATTEMPTS
        assert {role for role, *_ in other.dials} == {"client"}
        assert one.relayed

    _run(test)


def test_of_two_that_begin_at_once_one_goes_on() -> None:
    """Two conversations at once would have both ends take both roles; one of them is refused, the other succeeds."""

    async def test(tasks: trio.Nursery) -> None:
        one, other = _pair(tasks)
        failures: list[str] = []

        async def begin(side: Side, peer: NodeId) -> None:
            try:
                await side.punching.punch(peer)
            except Unreachable as error:
                failures.append(str(error))

        async with trio.open_nursery() as both:
            both.start_soon(begin, one, other.id)
            both.start_soon(begin, other, one.id)
        await trio.testing.wait_all_tasks_blocked()
        assert len(failures) == 1
        assert len(one.dials) == len(other.dials) == 1
        assert {one.dials[0][0], other.dials[0][0]} == {"client", "server"}

    _run(test)


@pytest.mark.parametrize("said", [b"\xff\xff", b"\x02no", holes.write(holes.SYNC)])
def test_whoever_says_nonsense_is_hung_up_on(said: bytes) -> None:
    """Lengths that are too long, no protobuf, words out of turn: the stream is reset, nobody is dialled."""

    async def test(tasks: trio.Nursery) -> None:
        one, other = _pair(tasks)
        stream = await one.new_stream(other.id, [holes.PROTOCOL])
        await stream.write(said)
        assert await stream.read(1) == b""
        assert stream.muxed_stream.reset_received
        assert other.dials == []

    _run(test)


def test_who_is_connected_directly_does_not_follow() -> None:
    """There is nothing to gain, and a peer could have us dial others for its sake."""

    async def test(tasks: trio.Nursery) -> None:
        one, other = _pair(tasks)
        other.relayed = False
        with pytest.raises(Unreachable):
            await one.punching.punch(other.id)
        assert other.dials == []

    _run(test)
