from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from math import inf
from typing import Any

import anyio
import msgspec
import pytest
from swarmgate.crew import Crew, muster
from swarmgate.errors import Unreachable
from swarmgate.ledger import MemoryLedger
from swarmgate.nouns import LLAMA_RPC, Endpoint, NodeId, Offer, Service, Way, Worker
from swarmgate.reaching import by_scheme
from swarmgate.testing import FakeProbe
from swarmgate.testing import FakeTransport as Fake

pytestmark = pytest.mark.anyio


def an_offer(node: str, address: str = "", lifetime: float = inf, sequence: int = 0, **labels: str) -> Offer:
    return Offer(
        node=NodeId(node),
        service=LLAMA_RPC,
        name="0",
        addresses=(address or f"fake://{node}",),
        lifetime=lifetime,
        sequence=sequence,
        labels=labels,
    )


class FakeTransport:
    """Opens paths to any address but the lost ones, and writes down which are open."""

    scheme = "fake"

    def __init__(self, *lost: str) -> None:
        self.log: list[str] = []
        self.lost = set(lost)

    @asynccontextmanager
    async def reach(self, address: str) -> AsyncGenerator[Endpoint]:
        await anyio.lowlevel.checkpoint()
        if address in self.lost:
            raise Unreachable("nobody home")
        self.log.append(f"+{address}")
        try:
            yield Endpoint("127.0.0.1", len(self.log))
        finally:
            self.log.append(f"-{address}")

    @asynccontextmanager
    async def expose(self, service: Service, endpoint: Endpoint) -> AsyncGenerator[tuple[str, ...]]:
        yield (f"fake://{endpoint}",)

    def ways(self) -> tuple[Way, ...]:
        return ()


def names(crew: tuple[Worker, ...]) -> str:
    return "".join(worker.offer.node for worker in crew)


async def test_nobody_is_told_at_once_and_a_burst_makes_one_crew() -> None:
    """An empty ledger costs no waiting; workers that arrive together make one crew, sorted."""
    ledger, fake = MemoryLedger(), FakeTransport()
    with anyio.fail_after(10):
        async with muster(ledger, LLAMA_RPC, by_scheme({"fake": fake}), settle_seconds=0.2) as crews:
            assert await anext(crews) == ()
            for name in "cab":
                await ledger.post(an_offer(name))
                await anyio.wait_all_tasks_blocked()
            assert names(await anext(crews)) == "abc"
    assert sorted(fake.log[3:]) == ["-fake://a", "-fake://b", "-fake://c"]


async def test_one_who_leaves_makes_the_next_crew() -> None:
    """A withdrawn and a lapsed offer each close their path."""
    ledger, fake = MemoryLedger(), FakeTransport()
    for offer in (an_offer("a"), an_offer("b"), an_offer("c", lifetime=1.5)):
        await ledger.post(offer)
    with anyio.fail_after(10):
        async with muster(ledger, LLAMA_RPC, by_scheme({"fake": fake}), settle_seconds=0.05) as crews:
            assert names(await anext(crews)) == "abc"
            await ledger.withdraw(an_offer("a"))
            assert names(await anext(crews)) == "bc"
            assert names(await anext(crews)) == "b"
            await anyio.wait_all_tasks_blocked()
            assert fake.log[3:] == ["-fake://a", "-fake://c"]


async def test_one_that_cannot_be_reached_is_left_out_until_it_can() -> None:
    """It spoils nothing for the others, and is tried again."""
    ledger, fake = MemoryLedger(), FakeTransport("fake://b")
    for name in "ab":
        await ledger.post(an_offer(name))
    with anyio.fail_after(10):
        async with muster(ledger, LLAMA_RPC, by_scheme({"fake": fake}), settle_seconds=0.05) as crews:
            assert names(await anext(crews)) == "a"
            fake.lost.clear()
            assert names(await anext(crews)) == "ab"


async def test_a_new_address_replaces_the_path() -> None:
    """An offer with another address is reached anew, and the old path closed; a further one or hint changes nothing."""
    ledger, fake = MemoryLedger(), FakeTransport()
    await ledger.post(an_offer("a", "fake://a?1"))
    with anyio.fail_after(10):
        async with muster(ledger, LLAMA_RPC, by_scheme({"fake": fake}), settle_seconds=0.05) as crews:
            (before,) = await anext(crews)
            await ledger.post(msgspec.structs.replace(before.offer, addresses=("fake://b", "fake://a?2"), sequence=1))
            await anyio.wait_all_tasks_blocked()
            assert (len(crews.members()[0].offer.addresses), fake.log) == (2, ["+fake://a?1"])
            await ledger.post(an_offer("a", "fake://elsewhere", sequence=2))
            _, (after,) = await anext(crews), await anext(crews)
            assert (before.endpoint != after.endpoint, after.offer.addresses) == (True, ("fake://elsewhere",))
            assert sorted(fake.log) == ["+fake://a?1", "+fake://elsewhere", "-fake://a?1"]


async def test_new_labels_are_news_and_a_mere_renewal_is_not() -> None:
    """The path stays open in both cases."""
    ledger, fake, heard = MemoryLedger(), FakeTransport(), list[Worker]()
    await ledger.post(an_offer("a", memory_bytes="1"))

    async def listen() -> None:
        async with muster(ledger, LLAMA_RPC, by_scheme({"fake": fake}), settle_seconds=0.05) as crews:
            async for crew in crews:
                heard.extend(crew)
                if len(heard) == 2:
                    return

    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(listen)
            await anyio.sleep(0.3)
            await ledger.post(an_offer("a", sequence=1, memory_bytes="1"))
            await anyio.sleep(0.3)
            assert len(heard) == 1
            await ledger.post(an_offer("a", sequence=2, memory_bytes="2"))
    assert [worker.offer.labels["memory_bytes"] for worker in heard] == ["1", "2"]
    assert heard[0].endpoint == heard[1].endpoint
    assert fake.log == ["+fake://a", "-fake://a"]


async def test_one_who_is_gone_is_missing_at_once_and_has_to_stand_longer_next_time() -> None:
    """Leaving is told without waiting; whoever comes and goes counts later each time."""
    ledger, fake, probe = MemoryLedger(), FakeTransport(), FakeProbe()
    where = Endpoint("127.0.0.1", 1)
    probe.say(where, {"memory_bytes": "5"})
    await ledger.post(an_offer("a"))
    waits = list[float]()
    with anyio.fail_after(20):
        async with muster(ledger, LLAMA_RPC, by_scheme({"fake": fake}), probe=probe, settle_seconds=0.2) as crew:
            assert names(await anext(crew)) == "a"
            for port in (3, 5):
                began = anyio.current_time()
                probe.say(Endpoint("127.0.0.1", port), {"memory_bytes": "5"})
                probe.say(Endpoint("127.0.0.1", port - 2), Unreachable("gone"))
                assert await anext(crew) == ()
                assert anyio.current_time() - began < 0.2
                (member,) = crew.members()
                assert (member.standing, member.reason) == ("left_out", "gone")
                assert names(await anext(crew)) == "a"
                waits.append(anyio.current_time() - began)
    assert waits[0] >= 0.5 + 0.4
    assert waits[1] >= 0.5 + 0.8


async def test_what_a_probe_finds_becomes_labels() -> None:
    """They stand beside the offer's own, change when the probe says so, and are seen in the list of members."""
    ledger, fake, probe = MemoryLedger(), FakeTransport(), FakeProbe()
    where = Endpoint("127.0.0.1", 1)
    probe.say(where, {"memory_bytes": "5"})
    await ledger.post(an_offer("a", colour="red"))
    with anyio.fail_after(10):
        async with muster(ledger, LLAMA_RPC, by_scheme({"fake": fake}), probe=probe, settle_seconds=0.05) as crew:
            (worker,) = await anext(crew)
            assert worker.offer.labels == {"colour": "red", "memory_bytes": "5"}
            probe.say(where, {"memory_bytes": "5", "leased_by": "bob"})
            (worker,) = await anext(crew)
            assert worker.offer.labels["leased_by"] == "bob"
            (member,) = crew.members()
            assert member.standing == "usable"
            assert member.labels["leased_by"] == "bob"
            assert "Crew of 1 of 1" in repr(crew)


async def test_the_first_crew_waits_for_everybodys_verdict() -> None:
    """One that takes a while to answer is in the first crew; one that cannot be used does not hold it up."""
    ledger, probe = MemoryLedger(), FakeProbe()

    class Slow(FakeTransport):
        @asynccontextmanager
        async def reach(self, address: str) -> AsyncGenerator[Endpoint]:
            await anyio.sleep(0.6 if address.endswith("b") else 0)
            async with super().reach(address) as endpoint:
                yield endpoint

    for port in (1, 2, 3):
        probe.say(Endpoint("127.0.0.1", port), {"memory_bytes": "1"})
    for name in "abc":
        await ledger.post(an_offer(name))
    slow = Slow("fake://c")
    with anyio.fail_after(10):
        async with muster(ledger, LLAMA_RPC, by_scheme({"fake": slow}), probe=probe, settle_seconds=0.1) as crew:
            assert names(await anext(crew)) == "ab"


async def test_ourselves_and_twins_are_left_out() -> None:
    """The gateway's own address, and a second name for one that is in use, are told as what they are."""
    ledger, fake = MemoryLedger(), FakeTransport()

    class Here(FakeTransport):
        @asynccontextmanager
        async def reach(self, address: str) -> AsyncGenerator[Endpoint]:
            await anyio.lowlevel.checkpoint()
            yield Endpoint("127.0.0.1", 8080 if address.endswith("own") else 50052)

    fake = Here()
    for name in ("own", "a", "b"):
        await ledger.post(an_offer(name))
    own = Endpoint("127.0.0.1", 8080)
    reach = by_scheme({"fake": fake})
    with anyio.fail_after(10):
        async with muster(ledger, LLAMA_RPC, reach, is_own=own.__eq__, settle_seconds=0.05) as crew:
            assert len(await anext(crew)) == 1
            reasons = {member.offer.node: member.reason for member in crew.members()}
    assert reasons.pop(NodeId("own")) == (
        "127.0.0.1:8080 is this gateway's own address: take it off the list, or give the port of a worker"
    )
    assert min(map(len, reasons.values())) == 0
    assert any("127.0.0.1:50052 is in use as '0' already" in reason for reason in reasons.values())


class Two:
    """Two addresses of one worker, reached in different ways; the endpoints' ports tell them apart."""

    def __init__(self) -> None:
        self.near = Endpoint("127.0.0.1", 1)
        self.far = Endpoint("127.0.0.1", 2)
        self.fake = Fake({"fake://near": self.near, "fake://far": self.far})
        self.fake.told["fake://far"] = Way(address="fake://far", kind="relayed", rtt_seconds=0.5)
        self.probe = FakeProbe()
        self.ledger = MemoryLedger()

    def crew(self, **told: Any) -> AbstractAsyncContextManager[Crew]:
        return muster(
            self.ledger, LLAMA_RPC, by_scheme({"fake": self.fake}), probe=self.probe, settle_seconds=0.05, **told
        )


async def test_a_member_shows_by_which_address_and_which_way_it_is_reached() -> None:
    """While it is reached; a path that is lost is reached anew, by another address of the offer."""
    two = Two()
    two.probe.say(two.near, {"memory_bytes": "5"})
    two.probe.say(two.far, {"memory_bytes": "5"})
    offer = msgspec.structs.replace(an_offer("a"), addresses=("fake://near", "fake://far"))
    await two.ledger.post(offer)
    with anyio.fail_after(10):
        async with two.crew() as crew:
            assert [worker.endpoint for worker in await anext(crew)] == [two.near]
            (member,) = crew.members()
            assert (member.address, member.way) == ("fake://near", Way(address="fake://near"))
            two.probe.say(two.near, Unreachable("silent"))
            assert await anext(crew) == ()
            (member,) = crew.members()
            assert (member.address, member.way, member.reason) == ("", None, "silent")
            assert [worker.endpoint for worker in await anext(crew)] == [two.far]
            (member,) = crew.members()
            assert member.address == "fake://far"
            assert member.way is not None
            assert (member.way.kind, member.way.rtt_seconds) == ("relayed", 0.5)


async def test_one_worker_that_is_found_twice_counts_once() -> None:
    """It says by its ``instance`` that it is the same; who came second is left out, with the reason."""
    two = Two()
    two.probe.say(two.near, {"memory_bytes": "5", "instance": "i1"})
    two.probe.say(two.far, {"memory_bytes": "5", "instance": "i1"})
    await two.ledger.post(an_offer("a", "fake://near"))
    with anyio.fail_after(10):
        async with two.crew() as crew:
            assert names(await anext(crew)) == "a"
            await two.ledger.post(an_offer("b", "fake://far"))
            await until_left_out(crew, "b")
            assert {member.offer.node: member.reason for member in crew.members()} == {
                "a": "",
                "b": "is in use as '0' already, by fake://near (direct)",
            }
            # a worker of its own on the same machine is another one
            two.probe.say(two.far, {"memory_bytes": "5", "instance": "i2"})
            assert names(await anext(crew)) == "ab"


async def test_the_direct_way_to_a_worker_takes_the_relayed_one_s_place() -> None:
    """At once, for the worker has stood already; the relayed one is left out, with the reason."""
    two = Two()
    two.probe.say(two.near, {"memory_bytes": "5", "instance": "i1"})
    two.probe.say(two.far, {"memory_bytes": "5", "instance": "i1"})
    await two.ledger.post(an_offer("a", "fake://far"))
    with anyio.fail_after(10):
        async with two.crew() as crew:
            assert names(await anext(crew)) == "a"
            await two.ledger.post(an_offer("b", "fake://near"))
            assert names(await anext(crew)) == "b"
            reasons = {member.offer.node: (member.standing, member.reason) for member in crew.members()}
            assert reasons[NodeId("a")] == ("left_out", "is in use as '0' already, by fake://near (direct)")
            await two.ledger.withdraw(an_offer("b", "fake://near"))
            assert await anext(crew) == ()
            assert names(await anext(crew)) == "a"


async def test_what_we_offer_ourselves_is_passed_over() -> None:
    """Nobody reaches for their own offers through the swarm."""
    two = Two()
    two.probe.say(two.near, {})
    await two.ledger.post(an_offer("me", "fake://far"))
    await two.ledger.post(an_offer("a", "fake://near"))
    with anyio.fail_after(10):
        async with two.crew(me=NodeId("me")) as crew:
            assert names(await anext(crew)) == "a"
            assert [member.offer.node for member in crew.members()] == ["a"]


async def until_left_out(crew: Crew, node: str) -> None:
    """Wait until the offer of *node* has been tried, and left out."""
    while not any(  # noqa: ASYNC110 -- seen from outside, there is nothing to wait on
        member.offer.node == node and member.standing == "left_out" for member in crew.members()
    ):
        await anyio.sleep(0.005)


async def test_who_is_gone_is_told_for_a_while() -> None:
    """Offered no more, with since when; back again, it is one of those who are there."""
    ledger, fake = MemoryLedger(), FakeTransport()
    await ledger.post(an_offer("a"))
    with anyio.fail_after(10):
        async with muster(ledger, LLAMA_RPC, by_scheme({"fake": fake}), settle_seconds=0.05) as crew:
            assert names(await anext(crew)) == "a"
            assert crew.members()[0].seen_seconds == 0.0
            assert crew.departed() == ()
            await ledger.withdraw(an_offer("a"))
            assert names(await anext(crew)) == ""
            (gone,) = crew.departed()
            assert (crew.members(), gone.standing, gone.seen_seconds is not None) == ((), "gone", True)
            await ledger.post(an_offer("a", sequence=2))
            assert names(await anext(crew)) == "a"
            assert crew.departed() == ()
