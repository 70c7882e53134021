from __future__ import annotations

import anyio
import msgspec
import pytest
from swarmgate.crew import Crew, muster
from swarmgate.ledger import MemoryLedger
from swarmgate.nouns import GATEWAY, Endpoint, NodeId, Offer, Worker
from swarmgate.reaching import by_scheme
from swarmgate.rota import Rota
from swarmgate.testing import FakeTransport, an_offer

pytestmark = pytest.mark.anyio
ME = NodeId("me")


async def a_crowd(count: int) -> tuple[MemoryLedger, FakeTransport]:
    """Return a ledger with so many offers, and a transport that reaches them."""
    ledger = MemoryLedger()
    fake = FakeTransport({f"fake://n{number}": Endpoint("127.0.0.1", number + 1) for number in range(count)})
    for number in range(count):
        await ledger.post(an_offer(f"n{number}", service=GATEWAY, addresses=(f"fake://n{number}",)))
    return ledger, fake


async def until_left_out(crew: Crew, offer: Offer) -> None:
    while all(each.standing != "left_out" for each in crew.members() if each.offer.key == offer.key):  # noqa: ASYNC110 -- seen from outside
        await anyio.sleep(0.005)


async def settled(crew: Crew, wanted: int) -> tuple[Worker, ...]:
    """Return the first crew of so many."""
    async for workers in crew:
        if len(workers) == wanted:
            return workers
    raise AssertionError


async def test_of_many_a_path_is_held_to_some() -> None:
    """The others are known by what they announce, and nothing is opened to them; each says so."""
    ledger, fake = await a_crowd(9)
    with anyio.fail_after(10):
        rota = Rota(ME, 3)
        async with muster(ledger, GATEWAY, by_scheme({"fake": fake}), settle_seconds=0.01, rota=rota) as crews:
            held = {worker.offer.node for worker in await settled(crews, 3)}
            assert len(fake.held) == 3
            announced = {offer.node for offer in crews.announced()}
            assert len(announced) == 6
            assert not held & announced
            standing = {member.offer.node: member.standing for member in crews.members()}
            assert {node for node, state in standing.items() if state == "announced"} == announced


async def test_whoever_is_asked_for_is_reached_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """It need not stand for a while first, and no longer passes for merely announced once it is reached."""
    monkeypatch.setattr("swarmgate.crew._VERDICT_SECONDS", 0.01)
    ledger, fake = await a_crowd(4)
    with anyio.fail_after(10):
        rota = Rota(ME, 1, kept_seconds=0.1)
        async with muster(ledger, GATEWAY, by_scheme({"fake": fake}), settle_seconds=60, rota=rota) as crews:
            while not fake.held or not crews.announced():  # noqa: ASYNC110 -- seen from outside
                await anyio.sleep(0.005)
            wanted = crews.announced()[0]
            with crews.used(wanted.key):
                assert wanted in crews.announced()
                (worker,) = await settled(crews, 1)
                assert worker.offer.key == wanted.key
                assert wanted not in crews.announced()
            assert await settled(crews, 0) == ()
            await anyio.wait_all_tasks_blocked()
            assert wanted.addresses[0] not in fake.held


async def test_whoever_is_asked_for_and_cannot_be_reached_is_no_longer_believed_in() -> None:
    """It is left out, and not announced, until it is let be again."""
    ledger, fake = await a_crowd(3)
    fake.known.clear()
    with anyio.fail_after(10):
        rota = Rota(ME, 1)
        async with muster(ledger, GATEWAY, by_scheme({"fake": fake}), rota=rota) as crews:
            while len(crews.announced()) != 2:  # noqa: ASYNC110 -- seen from outside
                await anyio.sleep(0.005)
            wanted = crews.announced()[0]
            with crews.used(wanted.key):
                await until_left_out(crews, wanted)
                assert wanted not in crews.announced()


async def test_what_is_announced_anew_is_news() -> None:
    """Whoever follows the crew hears of it though nothing is held."""
    ledger, fake = await a_crowd(3)
    with anyio.fail_after(10):
        rota = Rota(ME, 1)
        async with muster(ledger, GATEWAY, by_scheme({"fake": fake}), settle_seconds=0.01, rota=rota) as crews:
            await settled(crews, 1)
            (first, *_) = crews.announced()
            await ledger.post(msgspec.structs.replace(first, sequence=2, labels={"models": "a, b"}))
            while "a, b" not in {offer.labels.get("models") for offer in crews.announced()}:
                await anext(crews)
