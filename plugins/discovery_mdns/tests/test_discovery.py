from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import msgspec
import pytest
from structlog.testing import capture_logs
from swarmgate.api import (
    GATEWAY,
    LLAMA_RPC,
    Discovery,
    Membership,
    MemoryLedger,
    Offer,
    Replica,
    Service,
    WireError,
    keep_revocation,
)
from swarmgate.swarm.revoked import load, revoke
from swarmgate.testing import DiscoveryContract, a_swarm
from swarmgate.testing.streams import until
from swarmgate_discovery_mdns.discovery import MdnsDiscovery
from swarmgate_discovery_mdns.network import SERVICE_TYPE
from swarmgate_discovery_mdns.txt import from_txt, to_txt
from zeroconf import IPVersion
from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo, AsyncZeroconf

pytestmark = pytest.mark.anyio
LOOPBACK = ["127.0.0.1"]
PATIENCE = 15.0
ADDRESS = "tls://x@10.0.0.9:7946/llama-rpc"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"  # zeroconf knows no other loop


def offer_of(member: Membership, name: str = "w", service: Service = LLAMA_RPC, **fields: object) -> Offer:
    made = Offer(node=member.id, service=service, name=name, addresses=(ADDRESS,), lifetime=600.0)
    return msgspec.structs.replace(made, **fields)


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path) -> None:
    _FOLDERS.append(tmp_path)


_FOLDERS: list[Path] = []


def state_dir() -> Path:
    """Return the folder of the test; none of those who share it is started twice."""
    return _FOLDERS[-1]


def discovery_of(member: Membership, *, lifetime_seconds: float = 120.0) -> MdnsDiscovery:
    return MdnsDiscovery(member, state_dir(), interfaces=LOOPBACK, lifetime_seconds=lifetime_seconds)


@asynccontextmanager
async def a_member(member: Membership, *offers: Offer, lifetime_seconds: float = 120.0) -> AsyncGenerator[MemoryLedger]:
    """Hold a member on the network, with *offers* in its ledger."""
    ledger = MemoryLedger()
    for offer in offers:
        await ledger.post(offer)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(discovery_of(member, lifetime_seconds=lifetime_seconds).run, ledger)
        yield ledger
        tasks.cancel_scope.cancel()


async def sees(ledger: MemoryLedger, wanted: Callable[[tuple[Offer, ...]], bool]) -> None:
    """Wait until the offers of compute in *ledger* are as *wanted*."""
    with anyio.fail_after(PATIENCE):
        async with ledger.watch(LLAMA_RPC) as sets:
            await until(sets, wanted)


class TestContract(DiscoveryContract):
    """Beside a neighbour that offers a worker and a gateway."""

    @asynccontextmanager
    async def make(self) -> AsyncGenerator[Discovery]:
        neighbour, member = a_swarm("owner", "owner")
        async with a_member(neighbour, offer_of(neighbour), offer_of(neighbour, service=GATEWAY)):
            yield discovery_of(member)

    def expected(self) -> list[tuple[Service, str]]:
        return [(service, ADDRESS) for service in (LLAMA_RPC, GATEWAY)]


async def test_members_find_one_another_both_ways() -> None:
    """Each has the other's offers, as they were said, and its own only as it posted them."""
    one, other = a_swarm("owner", "worker")
    mine, theirs = offer_of(one, "mine", labels={"memory_bytes": "5"}), offer_of(other, "theirs", sequence=7)
    async with a_member(one, mine) as first, a_member(other, theirs) as second:
        for ledger in (first, second):
            await sees(ledger, lambda offers: {offer.name for offer in offers} == {"mine", "theirs"})
        heard = next(offer for offer in second.offers(LLAMA_RPC) if offer.name == "mine")
        assert (heard.node, heard.labels, heard.addresses) == (one.id, mine.labels, mine.addresses)
        assert next(offer for offer in first.offers(LLAMA_RPC) if offer.name == "mine") == mine


async def test_another_swarm_on_the_same_network_is_not_seen() -> None:
    """Its members are there, and nothing of theirs is posted."""
    (one, friend), (stranger,) = a_swarm("owner", "owner"), a_swarm("owner")
    async with (
        a_member(stranger, offer_of(stranger, "theirs")),
        a_member(friend, offer_of(friend, "ours")),
        a_member(one) as ledger,
    ):
        await sees(ledger, bool)
        assert [offer.name for offer in ledger.offers(LLAMA_RPC)] == ["ours"]


async def test_a_change_is_told_at_once_and_a_withdrawal_too() -> None:
    """New labels, then the end: neither waits for a renewal or a lapse."""
    one, other = a_swarm("owner", "owner")
    offer = offer_of(one)
    async with a_member(one, offer) as mine, a_member(other) as theirs:
        await sees(theirs, lambda offers: len(offers) == 1)
        await mine.post(msgspec.structs.replace(offer, labels={"models": "m"}, sequence=1))
        await sees(theirs, lambda offers: [each.labels for each in offers] == [{"models": "m"}])
        await mine.withdraw(msgspec.structs.replace(offer, sequence=1))
        await sees(theirs, lambda offers: offers == ())


async def test_leaving_takes_the_offers_along() -> None:
    """A member that is stopped in order says so; nobody waits until its offers lapse."""
    one, other = a_swarm("owner", "owner")
    async with a_member(other) as theirs:
        async with a_member(one, offer_of(one)):
            await sees(theirs, lambda offers: len(offers) == 1)
        await sees(theirs, lambda offers: offers == ())


async def test_moving_takes_no_offer_along() -> None:
    """A machine that gets other addresses goes on: whoever holds a path to it must not hear that it has ended."""
    one, other, third = a_swarm("owner", "owner", "owner")
    where, counts, mine = ["127.0.0.1"], list[int](), MemoryLedger()
    await mine.post(offer_of(one))
    moving = MdnsDiscovery(one, state_dir(), look=lambda: tuple(where), look_seconds=0.05)

    async def count(ledger: MemoryLedger) -> None:
        async with ledger.watch(LLAMA_RPC) as sets:
            async for offers in sets:
                counts.append(len(offers))

    async with a_member(other) as theirs, anyio.create_task_group() as tasks:
        tasks.start_soon(moving.run, mine)
        tasks.start_soon(count, theirs)
        await sees(theirs, lambda offers: len(offers) == 1)
        where[:] = ["127.0.0.1", "127.0.0.2"]
        with capture_logs() as said:
            while not any(entry["event"] == "mdns.opened" for entry in said):  # noqa: ASYNC110  # of the log
                await anyio.sleep(0.01)
        # it says all anew where it is now, to those who have not been there before
        async with a_member(third) as late:
            await sees(late, lambda offers: len(offers) == 1)
        assert counts[counts.index(1) :] == [1] * (len(counts) - counts.index(1))
        tasks.cancel_scope.cancel()


async def test_silence_lets_an_offer_lapse_and_renewal_keeps_it() -> None:
    """With a lifetime of three seconds it still stands after five, for it is renewed; without renewals it goes."""
    one, other, third = a_swarm("owner", "owner", "owner")
    async with a_member(other) as theirs:
        async with a_member(one, offer_of(one), lifetime_seconds=3.0):
            await sees(theirs, lambda offers: len(offers) == 1)
            await anyio.sleep(5.0)
            assert len(theirs.offers(LLAMA_RPC)) == 1
            (announced,) = await texts(one)
        await sees(theirs, lambda offers: offers == ())
    # as of one that was killed: its last record stays on the network for a while, and nobody renews it
    async with an_announcement(announced), a_member(third) as late:
        await sees(late, lambda offers: len(offers) == 1)
        await sees(late, lambda offers: offers == ())


async def test_what_is_revoked_goes_and_does_not_come_back() -> None:
    """The offers of a revoked peer are taken out at once, and its announcements are dropped from then on."""
    one, other, friend = a_swarm("owner", "worker", "owner")
    async with a_member(one) as mine, a_member(other, offer_of(other)) as theirs:
        await sees(mine, lambda offers: len(offers) == 1)
        one.revocations.add(other.id)
        await sees(mine, lambda offers: offers == ())
        await theirs.post(offer_of(other, labels={"again": "1"}, sequence=9))
        async with a_member(friend, offer_of(friend)):  # told later than what was just posted
            await sees(mine, lambda offers: [offer.node for offer in offers] == [friend.id])


async def test_a_role_that_may_not_offer_is_told_once() -> None:
    """A worker's offer of a gateway is not announced, the log says why, and the others are."""
    worker, owner = a_swarm("worker", "owner")
    with capture_logs() as logs:
        async with (
            a_member(worker, offer_of(worker, "g", GATEWAY), offer_of(worker, "w")),
            a_member(owner) as ledger,
        ):
            await sees(ledger, lambda offers: len(offers) == 1)
            assert ledger.offers(GATEWAY) == ()
    told = [log for log in logs if log["event"] == "mdns.not_announced"]
    assert [log["offer"] for log in told] == ["g"]
    assert "may not offer 'gateway'" in told[0]["reason"]


@pytest.mark.parametrize("txt", [b"", b"\x03v=2", to_txt(b"garbage"), to_txt(b"x" * 5000)])
async def test_garbage_on_the_network_is_dropped(txt: bytes) -> None:
    """Records of our type that are none of ours change nothing, and what is ours still comes."""
    one, other = a_swarm("owner", "owner")
    async with an_announcement(txt), a_member(one) as ledger, a_member(other, offer_of(other)):
        await sees(ledger, lambda offers: [offer.node for offer in offers] == [other.id])


async def test_a_stranger_sees_no_word_of_what_is_offered() -> None:
    """Neither service, nor name, nor labels, nor the node's id are on the network in the clear."""
    (one,) = a_swarm("owner")
    offer = offer_of(one, "my-laptop", labels={"models": "secret-model"})
    async with a_member(one, offer):
        (told,) = await texts(one)
    for word in (b"my-laptop", b"secret-model", b"llama", one.id.encode(), b"tls://"):
        assert word not in told


async def texts(member: Membership) -> list[bytes]:
    """Return the TXT records of the swarm of *member* that anybody on the network sees, at least one.

    There may be those of others: all who run on this machine hear one another, other tests as well.
    """
    zeroconf = AsyncZeroconf(interfaces=LOOPBACK, ip_version=IPVersion.V4Only)
    names: list[str] = []
    seen = anyio.Event()

    def note(zeroconf: object, service_type: str, name: str, state_change: object) -> None:
        names.append(name)
        seen.set()

    browser = AsyncServiceBrowser(zeroconf.zeroconf, SERVICE_TYPE, handlers=[note])
    found: list[bytes] = []
    try:
        with anyio.fail_after(PATIENCE):
            while not found:
                await seen.wait()
                seen = anyio.Event()
                asked, names = dict.fromkeys(names), []
                for name in asked:
                    info = AsyncServiceInfo(SERVICE_TYPE, name)
                    await info.async_request(zeroconf.zeroconf, 3000)
                    if is_of(member, bytes(info.text or b"")):
                        found.append(bytes(info.text or b""))
    finally:
        await browser.async_cancel()
        await zeroconf.async_close()
    return found


def is_of(member: Membership, txt: bytes) -> bool:
    """Return whether a TXT record says something to the swarm of *member*."""
    try:
        return bool(Replica(member).receive(from_txt(txt), time.monotonic(), direct=False).news)
    except WireError:
        return False


@asynccontextmanager
async def an_announcement(txt: bytes) -> AsyncGenerator[None]:
    """Hold a service of our type on the network that says *txt*."""
    zeroconf = AsyncZeroconf(interfaces=LOOPBACK, ip_version=IPVersion.V4Only)
    name = f"stranger-{time.monotonic_ns()}"
    info = AsyncServiceInfo(
        SERVICE_TYPE,
        f"{name}.{SERVICE_TYPE}",
        port=9,
        properties=txt,
        server=f"{name}.local.",
        parsed_addresses=LOOPBACK,
    )
    try:
        await (await zeroconf.async_register_service(info))
        yield
    finally:
        await zeroconf.async_close()


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    (tmp_path / "friend").mkdir()
    return tmp_path / "friend"


async def test_a_revocation_reaches_all_and_is_kept(tmp_path: Path, kept: Path) -> None:
    """One owner revokes; another member hears it, lets go of the peer's offers, passes it on, and keeps it."""
    owner, friend, late, out = a_swarm("owner", "node", "node", "worker")
    async with a_member(owner), a_member(out, offer_of(out)):
        ledger = MemoryLedger()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(MdnsDiscovery(friend, kept, interfaces=LOOPBACK).run, ledger)
            await sees(ledger, lambda offers: len(offers) == 1)
            await keep_revocation(tmp_path, owner, revoke(owner, out.id))
            await sees(ledger, lambda offers: offers == ())
            tasks.cancel_scope.cancel()
    assert out.id in friend.revocations
    assert await anyio.to_thread.run_sync(load, kept, owner) == [owner.revocations.entry(out.id)]
    # the owner is gone by now: who was away hears it of the other one
    heard = anyio.Event()
    late.revocations.listen(lambda _: heard.set())
    async with a_member(friend), a_member(late):
        with anyio.fail_after(PATIENCE):
            await heard.wait()
    assert out.id in late.revocations
