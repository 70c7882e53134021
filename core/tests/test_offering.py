from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio
import pytest
from structlog.testing import capture_logs
from swarmgate.errors import Unreachable
from swarmgate.ledger import MemoryLedger
from swarmgate.nouns import GATEWAY, LLAMA_RPC, Endpoint, Offer, Service
from swarmgate.offering import announced, labelled, named, offering
from swarmgate.swarm.entries import LONGEST_TEXT, MOST_ADDRESSES
from swarmgate.testing import FakeTransport, a_swarm, an_offer

pytestmark = pytest.mark.anyio
HERE = Endpoint("127.0.0.1", 5)
OWNER, WORKER, VIEWER = a_swarm("owner", "worker", "viewer")


class Moving(FakeTransport):
    """Is somewhere else when it is asked again."""

    def __init__(self) -> None:
        super().__init__()
        self.now: tuple[str, ...] = ("fake://here",)

    async def addresses(self, exposed: str) -> tuple[str, ...]:
        return self.now


class Slow(FakeTransport):
    """Takes its time to be listened on."""

    def __init__(self) -> None:
        super().__init__(scheme="slow")
        self.ready = anyio.Event()

    @asynccontextmanager
    async def expose(self, service: Service, endpoint: Endpoint) -> AsyncGenerator[tuple[str, ...]]:
        await self.ready.wait()
        async with super().expose(service, endpoint) as addresses:
            yield addresses


class Deaf(FakeTransport):
    """Cannot be listened on."""

    @asynccontextmanager
    async def expose(self, service: Service, endpoint: Endpoint) -> AsyncGenerator[tuple[str, ...]]:
        raise Unreachable("the port is taken")
        yield ()


async def seen(sets: AsyncIterator[tuple[Offer, ...]], wanted: Callable[[tuple[Offer, ...]], bool]) -> Offer | None:
    """Return the one offer, if any, of the first set that is as *wanted*."""
    async for offers in sets:
        if wanted(offers):
            return offers[0] if offers else None
    raise AssertionError


async def test_an_offer_stands_with_the_addresses_of_every_transport_for_members() -> None:
    """Plain TCP, which anybody could read, is not among them; all ends with the block, the offer first."""
    ledger, one, other, plain = (
        MemoryLedger(),
        FakeTransport(),
        FakeTransport(scheme="p2p"),
        FakeTransport(scheme="tcp"),
    )
    transports = {each.scheme: each for each in (plain, one, other)}
    with anyio.fail_after(10):
        async with (
            ledger.watch(LLAMA_RPC) as sets,
            offering(ledger, transports, OWNER, an_offer(addresses=()), HERE) as made,
        ):
            assert made is not None
            offer = await seen(sets, bool)
            assert offer is not None
            assert offer.addresses == (f"fake://llama-rpc/{HERE}", f"p2p://llama-rpc/{HERE}")
            assert one.known[offer.addresses[0]] == HERE
            assert plain.known == {}
            assert made.stands
            assert "standing" in repr(made)
    assert ledger.offers(LLAMA_RPC) == ()
    assert one.known == other.known == {}


async def test_what_has_moved_is_posted_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the addresses of now, above the offer from before; who is nowhere for a while stays where it was."""
    monkeypatch.setattr("swarmgate.offering.LOOKED_SECONDS", 0.01)
    ledger, fake = MemoryLedger(), Moving()
    with anyio.fail_after(10):
        async with (
            ledger.watch(LLAMA_RPC) as sets,
            offering(ledger, {"fake": fake}, OWNER, an_offer(addresses=(), sequence=7), HERE) as made,
        ):
            assert made is not None
            assert await seen(sets, lambda offers: any(each.addresses == ("fake://here",) for each in offers))
            fake.now = ()
            await anyio.sleep(0.05)
            assert made.offer.addresses == ("fake://here",)
            fake.now = ("fake://there", "fake://and-there")
            moved = await seen(sets, lambda offers: any(each.addresses == fake.now for each in offers))
            assert moved is not None
            assert moved.sequence > 7
            await made.withdraw()
            fake.now = ("fake://back",)
            while made.offer.addresses != fake.now:  # noqa: ASYNC110  # nothing is posted that one could wait for
                await anyio.sleep(0.01)
            assert ledger.offers(LLAMA_RPC) == ()
            await made.restore()
            assert await seen(sets, lambda offers: any(each.addresses == ("fake://back",) for each in offers))


async def test_a_slow_transport_keeps_nobody_waiting_for_the_others() -> None:
    """The offer stands with what there is, and is posted anew when the rest has come."""
    ledger, slow = MemoryLedger(), Slow()
    transports = {"slow": slow, "fake": FakeTransport()}
    with anyio.fail_after(10):
        async with (
            ledger.watch(LLAMA_RPC) as sets,
            offering(ledger, transports, OWNER, an_offer(addresses=()), HERE) as made,
        ):
            assert made is not None
            first = await seen(sets, bool)
            assert first is not None
            assert first.addresses == (f"fake://llama-rpc/{HERE}",)
            slow.ready.set()
            whole = await seen(sets, lambda offers: any(len(each.addresses) == 2 for each in offers))
            assert whole is not None
            assert whole.addresses == (f"slow://llama-rpc/{HERE}", *first.addresses)


async def test_it_can_be_withdrawn_while_the_service_goes_on() -> None:
    """And put up again, above all that was said before; doing either twice is no error."""
    ledger, fake = MemoryLedger(), FakeTransport()
    with anyio.fail_after(10):
        async with (
            ledger.watch(LLAMA_RPC) as sets,
            offering(ledger, {"fake": fake}, OWNER, an_offer(addresses=(), sequence=7), HERE) as made,
        ):
            assert made is not None
            first = await seen(sets, bool)
            assert first is not None
            for _ in range(2):
                await made.withdraw()
                assert ledger.offers(LLAMA_RPC) == ()
                assert not made.stands
            assert fake.known
            for _ in range(2):
                await made.restore()
            again = await seen(sets, bool)
            assert again is not None
            assert again.sequence > first.sequence == 7
            assert again.addresses == first.addresses == made.offer.addresses
    assert ledger.offers(LLAMA_RPC) == ()


async def test_a_cancelled_house_withdraws() -> None:
    """No dead offer stays behind."""
    ledger = MemoryLedger()
    with anyio.move_on_after(0.1):
        async with offering(ledger, {"fake": FakeTransport()}, OWNER, an_offer(addresses=()), HERE):
            await anyio.wait_all_tasks_blocked()
            assert ledger.offers(LLAMA_RPC)
            await anyio.sleep_forever()
    assert ledger.offers(LLAMA_RPC) == ()


@pytest.mark.parametrize(("member", "service"), [(VIEWER, LLAMA_RPC), (VIEWER, GATEWAY), (WORKER, GATEWAY)])
async def test_what_the_role_forbids_is_not_offered(member: object, service: Service) -> None:
    """Others would drop it: nothing is exposed, and the log says why."""
    ledger, fake = MemoryLedger(), FakeTransport()
    offer = an_offer(service=service, addresses=())
    with capture_logs() as logs:
        async with offering(ledger, {"fake": fake}, member, offer, HERE) as made:  # type: ignore[arg-type]
            await anyio.wait_all_tasks_blocked()
            assert made is None
            assert fake.known == {}
    assert ledger.offers(service) == ()
    assert [log["event"] for log in logs] == ["offering.forbidden"]


async def test_a_transport_that_cannot_be_listened_on_spoils_nothing_for_the_others() -> None:
    """It is told; where there is no other, nothing is offered, and that is told, too."""
    ledger, deaf = MemoryLedger(), Deaf(scheme="deaf")
    with capture_logs() as logs:
        async with offering(
            ledger, {"deaf": deaf, "fake": FakeTransport()}, WORKER, an_offer(addresses=()), HERE
        ) as made:
            assert made is not None
            assert made.offer.addresses == (f"fake://llama-rpc/{HERE}",)
        async with offering(ledger, {"deaf": deaf}, WORKER, an_offer(addresses=()), HERE) as made:
            assert made is None
    told = [(log["event"], log.get("reason", "")) for log in logs]
    assert told[0] == ("offering.not_exposed", "the port is taken")
    assert [event for event, _ in told] == [
        "offering.not_exposed",
        "offering.began",
        "offering.not_exposed",
        "offering.unreachable",
    ]


def test_loopback_is_announced_only_where_there_is_nothing_else() -> None:
    """From another machine it leads nowhere; on one without a network it is what there is."""
    near, far = "tls://12D3@127.0.0.1:7946/gateway", "tls://12D3@10.0.0.5:7946/gateway"
    assert announced([(near, far), ("tls://12D3@[::1]:1/gateway",)]) == (far,)
    assert announced([(near,)]) == (near,)
    assert announced([(near,), ("p2p://12D3/gateway?at=%2Fip4%2F127.0.0.1",)]) == (
        "p2p://12D3/gateway?at=%2Fip4%2F127.0.0.1",
    )
    assert announced([("tls://[not an address", far)]) == ("tls://[not an address", far)
    assert announced([]) == announced([()]) == ()


def test_no_more_is_announced_than_an_offer_may_say() -> None:
    """Each transport keeps its best addresses, and none that is too long."""
    many = tuple(f"tls://12D3@10.0.0.{number}:1/gateway" for number in range(30))
    chosen = announced([many, ("p2p://12D3/gateway", "p2p://" + "x" * LONGEST_TEXT)])
    assert chosen == (*many[: MOST_ADDRESSES // 2], "p2p://12D3/gateway")
    assert len(announced([many])) == MOST_ADDRESSES


def test_labels_are_cut_to_what_others_accept() -> None:
    """Empty ones are left out; of many names as many are told as fit."""
    assert labelled(version="1", models="", devices="x" * 5000) == {"version": "1", "devices": "x" * LONGEST_TEXT}
    assert named(GATEWAY, ["a", "b"]) == "a, b"
    assert named(GATEWAY, []) == ""
    fitting = named(GATEWAY, [f"model-{number:04}" for number in range(1000)])
    assert LONGEST_TEXT - 20 < len(fitting) <= LONGEST_TEXT
    assert fitting.endswith("model-0084")


async def test_what_it_says_of_itself_can_change() -> None:
    """At once while it stands, and when it is put up again if not."""
    ledger, fake = MemoryLedger(), FakeTransport()
    with anyio.fail_after(10):
        async with (
            ledger.watch(LLAMA_RPC) as sets,
            offering(ledger, {"fake": fake}, OWNER, an_offer(addresses=()), HERE) as made,
        ):
            assert made is not None
            assert await seen(sets, bool) is not None
            made.relabel({"models": "a"})
            changed = await seen(sets, lambda offers: bool(offers) and offers[0].labels == {"models": "a"})
            assert changed is not None
            await made.withdraw()
            made.relabel({"models": "b"})
            await made.restore()
            again = await seen(sets, lambda offers: bool(offers) and offers[0].labels == {"models": "b"})
            assert again is not None
            assert again.sequence > changed.sequence
