from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest
from swarmgate.announcements import Announcement, Lending, Stopping, Warned
from swarmgate.config.blueprint import Blueprint, Choice
from swarmgate.config.settings import Settings
from swarmgate.contracts import Ledger
from swarmgate.errors import ConfigError, EngineError, PluginError
from swarmgate.ledger import MemoryLedger
from swarmgate.lending import run_until
from swarmgate.nouns import LLAMA_RPC, Endpoint, Loan, Offer
from swarmgate.parts import DISCOVERY, LEDGER, TRANSPORT, WORKER, NoOptions, Part, PartContext, Slot
from swarmgate.swarm.token import Token
from swarmgate.testing import FakeTransport

pytestmark = pytest.mark.anyio


class Shed:
    """A lender that notes what happens to it."""

    def __init__(self, host: str = "127.0.0.1", error: Exception | None = None) -> None:
        self.host, self.error = host, error
        self.events: list[str] = []
        self.context: PartContext | None = None

    @asynccontextmanager
    async def lend(self) -> AsyncGenerator[Loan]:
        if self.error is not None:
            raise self.error
        self.events.append("lends")
        try:
            yield Loan(endpoint=Endpoint(self.host, 50052), labels={"memory_bytes": "2500000000", "devices": "CPU"})
        finally:
            self.events.append("lent")

    @asynccontextmanager
    async def open(self, options: Any, context: PartContext) -> AsyncGenerator[Any]:
        self.context = context
        self.events.append("opened")
        yield self
        self.events.append("closed")

    def blueprint(self, folder: Path, **settings: Any) -> Blueprint:
        choice = Choice(WORKER, Part("shed", "For a test.", NoOptions, self.open), NoOptions())
        return Blueprint(Settings(state_dir=str(folder), name="n1", **settings), (choice,))


async def run(shed: Shed, folder: Path, *choices: Choice, **settings: Any) -> list[Announcement]:
    """Let *shed* lend until it has said so, and return all that was announced."""
    said: list[Announcement] = []
    wish, wishes = anyio.create_memory_object_stream[object](1)

    def announce(what: Announcement) -> None:
        said.append(what)
        if isinstance(what, Lending):
            wish.send_nowait(None)

    with wish, wishes, anyio.fail_after(10):
        drawn = shed.blueprint(folder / "state", **settings)
        await run_until(wishes, replace(drawn, choices=(*choices, *drawn.choices)), announce=announce)
    return said


async def test_it_lends_until_told_to_stop(tmp_path: Path) -> None:
    """The lender is opened with the house's means, told of, and closed in order."""
    said = await run(shed := Shed(), tmp_path)
    assert shed.events == ["opened", "lends", "lent", "closed"]
    assert [type(each) for each in said] == [Lending, Stopping]
    text = str(said[0])
    assert text.startswith("shed lends CPU, 2.5 GB of memory on 127.0.0.1:50052\n")
    assert '  LLAMACPP_GRPC_SERVERS="127.0.0.1:50052" gateway run --model FILE.gguf\n' in text
    assert shed.context is not None
    assert (shed.context.node.name, shed.context.state_dir) == ("n1", tmp_path / "state" / "worker")
    assert (tmp_path / "state" / "worker" / "node.json").exists()


async def test_everybody_s_address_is_warned_of(tmp_path: Path) -> None:
    """Who lends to others than this machine learns what protects it: nothing."""
    said = await run(Shed("0.0.0.0"), tmp_path)  # noqa: S104 -- announced, not bound
    assert isinstance(said[0], Warned)
    assert "0.0.0.0:50052 has neither encryption nor a password" in str(said[0])
    assert isinstance(said[1], Lending)
    assert not said[1].address.startswith("0.0.0.0")  # noqa: S104 -- likewise


async def test_a_wish_during_the_start_is_heard(tmp_path: Path) -> None:
    """Nothing has been promised yet, so the start is broken off."""
    wish, wishes = anyio.create_memory_object_stream[object](1)
    shed = Shed()

    @asynccontextmanager
    async def slow(options: Any, context: PartContext) -> AsyncGenerator[Any]:
        wish.send_nowait(None)
        await anyio.sleep_forever()
        yield

    shed.open = slow  # type: ignore[method-assign]
    said: list[Announcement] = []
    with wish, wishes, anyio.fail_after(10):
        await run_until(wishes, shed.blueprint(tmp_path), announce=said.append)
    assert [type(each) for each in said] == [Stopping]


async def test_what_would_not_start_is_told_as_it_is(tmp_path: Path) -> None:
    """Expected errors come out as themselves, not in groups; others are the part's fault."""
    with pytest.raises(EngineError, match="the port is taken"):
        await run(Shed(error=EngineError("the port is taken")), tmp_path)

    @asynccontextmanager
    async def broken(options: Any, context: PartContext) -> AsyncGenerator[Any]:
        raise LookupError("x")
        yield

    shed = Shed()
    shed.open = broken  # type: ignore[method-assign]
    with pytest.raises(PluginError, match="worker 'shed' could not be opened: LookupError: x"):
        await run(shed, tmp_path)


async def test_a_worker_joins_by_the_token_and_makes_none(tmp_path: Path) -> None:
    """The lender has its membership; a worker of no swarm has none, and one without a token says what to do."""
    shed, token = Shed(), Token.make()
    book = choice(LEDGER, MemoryLedger())
    await run(shed, tmp_path)
    assert shed.context is not None
    assert shed.context.membership is None
    await run(shed, tmp_path, book, p2p=True, token=token.text)
    assert shed.context.membership is not None
    assert (shed.context.membership.id, shed.context.membership.role) == (shed.context.node.id, "owner")
    with pytest.raises(ConfigError, match="has no token of a swarm yet"):
        await run(shed, tmp_path, p2p=True)


def choice(slot: Slot[Any], thing: object) -> Choice:
    @asynccontextmanager
    async def opened(options: NoOptions, context: PartContext) -> AsyncGenerator[Any]:
        yield thing

    return Choice(slot, Part("made-up", "For a test.", NoOptions, opened), NoOptions())


class Hearing:
    """A discovery that notes which ledger it may write in."""

    def __init__(self) -> None:
        self.ledger: Ledger | None = None

    async def run(self, ledger: Ledger) -> None:
        self.ledger = ledger
        await anyio.sleep_forever()


async def test_a_member_s_loan_is_offered_to_its_swarm(tmp_path: Path) -> None:
    """With the loan's labels, at addresses for members; the offer and the addresses go with the worker."""
    ledger, fake, plain, hearing = MemoryLedger(), FakeTransport(), FakeTransport(scheme="tcp"), Hearing()
    shed, token, offers = Shed("0.0.0.0"), Token.make(), list[Offer]()  # noqa: S104 -- announced, not bound
    base = shed.blueprint(tmp_path, p2p=True, token=token.text)
    parts = (choice(TRANSPORT, plain), choice(TRANSPORT, fake), choice(LEDGER, ledger), choice(DISCOVERY, hearing))
    choices = tuple(replace(each, part=replace(each.part, name=f"p{i}")) for i, each in enumerate(parts))
    wish, wishes = anyio.create_memory_object_stream[object](1)

    async def look() -> None:
        async with ledger.watch(LLAMA_RPC) as sets:
            async for found in sets:
                if found:
                    offers.extend(found)
                    await wish.send(None)
                    return

    with wish, wishes, anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(look)
            await run_until(wishes, Blueprint(base.settings, (*choices, *base.choices)), announce=lambda _: None)
    (offer,) = offers
    assert (offer.name, offer.service) == ("n1:50052", LLAMA_RPC)
    assert shed.context is not None
    assert offer.node == shed.context.node.id
    assert offer.labels == {"memory_bytes": "2500000000", "devices": "CPU"}
    assert offer.addresses == ("fake://llama-rpc/127.0.0.1:50052",)
    assert offer.sequence >= 1 << 32
    assert hearing.ledger is ledger
    assert (ledger.offers(LLAMA_RPC), fake.known, plain.known) == ((), {}, {})
    assert shed.events[-1] == "closed"


async def test_a_member_without_a_ledger_is_told_so(tmp_path: Path) -> None:
    """There is nothing to offer itself in."""
    with pytest.raises(ConfigError, match="a worker needs a ledger to offer itself in"):
        await run(Shed(), tmp_path, p2p=True, token=Token.make().text)
