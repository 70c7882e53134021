"""One gateway of a swarm asks another that has API keys, without having one of them."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from swarmgate.announcements import Announcement, Serving
from swarmgate.assembly import Assembly, assemble
from swarmgate.chat import GenerateRequest
from swarmgate.config.choices import Blueprint, Choice
from swarmgate.config.settings import Settings
from swarmgate.ledger import MemoryLedger
from swarmgate.nouns import GATEWAY
from swarmgate.parts import BACKEND, BALANCER, LEDGER, SPLITTER, TRANSPORT, NoOptions, Part, PartContext, Slot
from swarmgate.plugins import Catalogue, load
from swarmgate.serve import run_until
from swarmgate.swarm.membership import invite
from swarmgate.swarm.token import Token
from swarmgate.testing import FakeTransport, a_request

pytestmark = [pytest.mark.anyio, pytest.mark.journey]
TOKEN = Token.make()


@pytest.fixture
def anyio_backend() -> str:
    """Run on the loop that uvicorn and aiohttp know."""
    return "asyncio"


class World:
    """What two gateways have in common: a book, and a network."""

    def __init__(self, folder: Path, catalogue: Catalogue) -> None:
        self.ledger, self.fake, self.folder, self.catalogue = MemoryLedger(), FakeTransport(), folder, catalogue

    def blueprint(self, name: str, *own: Choice, token: str = TOKEN.text, **settings: Any) -> Blueprint:
        chosen = [
            self._shared(TRANSPORT, self.fake),
            self._shared(LEDGER, self.ledger),
            *(Choice(slot, self.catalogue.find(slot, part).part, NoOptions()) for slot, part in PLAIN),
            *own,
        ]
        return Blueprint(
            Settings(
                listen="127.0.0.1:0",
                state_dir=str(self.folder / name),
                name=name,
                p2p=True,
                token=token,
                federated=True,
                canary_seconds=0,
                **settings,
            ),
            tuple(chosen),
            peer=self.catalogue.find(BACKEND, "openai").part,
        )

    @staticmethod
    def _shared(slot: Slot[Any], thing: object) -> Choice:
        @asynccontextmanager
        async def opened(options: NoOptions, context: PartContext) -> AsyncGenerator[Any]:
            yield thing

        return Choice(slot, Part("shared", "For a test.", NoOptions, opened), NoOptions())

    @asynccontextmanager
    async def serving(self) -> AsyncGenerator[None]:
        """Run a gateway called there, with a model and a key, until the block ends."""
        part = self.catalogue.find(BACKEND, "echo").part
        plan = self.blueprint("there", Choice(BACKEND, part, part.options()), api_keys=("secret",))
        wish, wishes = anyio.create_memory_object_stream[object](2)
        served = anyio.Event()

        def announce(what: Announcement) -> None:
            if isinstance(what, Serving):
                served.set()

        async def run() -> None:
            with wishes:
                await run_until(wishes, plan, announce=announce)

        with wish:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(run)
                await served.wait()
                yield
                wish.send_nowait(None)
                wish.send_nowait(None)


PLAIN = ((BALANCER, "first_free"), (SPLITTER, "whole"))


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Return a world with the parts that are installed; finding them reads files."""
    return World(tmp_path, load())


async def until_known(here: Assembly) -> None:
    """Wait until the other gateway's model can be asked."""
    while not any(node.models and node.health.ready for node in here.dispatcher.nodes()):  # noqa: ASYNC110 -- polled
        await anyio.sleep(0.01)


async def said(here: Assembly, request: GenerateRequest) -> str:
    text = ""
    async with here.dispatcher.generate(request) as answer:
        async for delta in answer:
            text += delta.text
    return text


async def test_a_member_asks_without_sharing_a_key(world: World) -> None:
    """It shows a credential of its own, and the other is seen with the way to it."""
    with anyio.fail_after(30):
        async with world.serving(), assemble(world.blueprint("here")) as here:
            await until_known(here)
            assert await said(here, a_request("hello there", model="echo")) == "hello there"
            (peer,) = here.peers()
            assert (peer.offer.name, peer.standing, peer.found) == ("there", "usable", ("shared",))
            assert peer.way is not None
            (offer,) = world.ledger.offers(GATEWAY)
            assert peer.address == offer.addresses[0]


@pytest.mark.parametrize("role", ["viewer", "worker"])
async def test_a_role_decides_who_may_ask(world: World, role: Any) -> None:
    """A viewer uses what others offer and offers nothing; a worker is told why it may not."""
    guest = invite(TOKEN, role, days=1, key=bytes(32), now=time.time())
    with anyio.fail_after(30):
        async with world.serving(), assemble(world.blueprint("here", token=guest.text)) as here:
            if role == "viewer":
                await until_known(here)
                assert await said(here, a_request("hi", model="echo")) == "hi"
                return
            told = ""
            while "lends and does not ask" not in told:
                await anyio.sleep(0.01)
                told = " ".join(node.health.reason for node in here.dispatcher.nodes())
