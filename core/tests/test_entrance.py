from __future__ import annotations

import secrets
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest
from anyio.streams.memory import MemoryObjectSendStream
from swarmgate import builtin
from swarmgate.announcements import Announcement, Serving, Stopping
from swarmgate.chat import ModelCard
from swarmgate.config.choices import Blueprint, Choice
from swarmgate.config.settings import Settings
from swarmgate.echo import EchoBackend, EchoOptions
from swarmgate.entrance import offers_itself
from swarmgate.ledger import MemoryLedger
from swarmgate.nouns import GATEWAY, Endpoint, Health, Offer, Service
from swarmgate.parts import (
    BACKEND,
    BALANCER,
    LEDGER,
    SPLITTER,
    TRANSPORT,
    NoOptions,
    Options,
    Part,
    PartContext,
    Slot,
)
from swarmgate.serve import run_until
from swarmgate.swarm.credential import RUN, credential
from swarmgate.swarm.membership import Membership, join
from swarmgate.swarm.token import Token
from swarmgate.testing import FakeTransport

pytestmark = pytest.mark.anyio
TOKEN = Token.make()


@pytest.fixture(params=[False, True], ids=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    """Run on the loops that uvicorn knows."""
    return "asyncio", {"use_uvloop": request.param}


def member() -> Membership:
    return join(TOKEN, secrets.token_bytes(32))


def choice(slot: Slot[Any], thing: object) -> Choice:
    @asynccontextmanager
    async def opened(options: NoOptions, context: PartContext) -> AsyncGenerator[Any]:
        yield thing

    return Choice(slot, Part("made-up", "For a test.", NoOptions, opened), NoOptions())


class House:
    """A gateway that runs, and the world in which it does."""

    def __init__(self, tmp_path: Path, *, delay: float = 0.0, **settings: Any) -> None:
        self.ledger, self.fake = MemoryLedger(), FakeTransport()
        self.url = ""
        self.said: list[Announcement] = []
        self.serving, self.ended = anyio.Event(), anyio.Event()
        self.wish: MemoryObjectSendStream[object] | None = None
        given: dict[str, Any] = {"p2p": True, "token": TOKEN.text, "federated": True, "name": "home", **settings}
        self.blueprint = Blueprint(
            Settings(listen="127.0.0.1:0", state_dir=str(tmp_path / "state"), **given),
            (
                choice(TRANSPORT, self.fake),
                choice(LEDGER, self.ledger),
                Choice(BALANCER, builtin.swarmgate_balancer()[0], NoOptions()),
                Choice(SPLITTER, builtin.swarmgate_splitter()[0], NoOptions()),
                Choice(BACKEND, builtin.swarmgate_backend()[0], EchoOptions(delay_seconds=delay)),
            ),
        )

    def announce(self, what: Announcement) -> None:
        self.said.append(what)
        if isinstance(what, Serving):
            self.url = what.url
            self.serving.set()

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        self.wish, wishes = anyio.create_memory_object_stream[object](4)

        async def run() -> None:
            with wishes:
                await run_until(wishes, self.blueprint, announce=self.announce)
            self.ended.set()

        with anyio.fail_after(20):
            async with self.wish, anyio.create_task_group() as tasks:
                tasks.start_soon(run)
                await self.serving.wait()
                async with self.ledger.watch(GATEWAY) as sets:
                    while not await anext(sets):
                        pass
                yield
                with suppress(anyio.BrokenResourceError):  # it may have stopped already
                    self.wish.send_nowait(None)
                    self.wish.send_nowait(None)

    @property
    def offer(self) -> Offer:
        (offer,) = self.ledger.offers(GATEWAY)
        return offer

    @property
    def tunnel(self) -> Endpoint:
        """Return where connections from the swarm arrive."""
        (endpoint,) = self.fake.known.values()
        return endpoint

    def shown(self, who: Membership) -> str:
        return credential(who, self.offer.node, self.offer.labels[RUN])


async def ask(where: Endpoint, path: str, key: str = "", body: object = None) -> tuple[int, Any]:
    """Return the status and the document that *where* answers."""
    content = b"" if body is None else msgspec.json.encode(body)
    head = f"{'GET' if body is None else 'POST'} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    head += f"Content-Length: {len(content)}\r\n" + (f"Authorization: Bearer {key}\r\n" if key else "")
    async with await anyio.connect_tcp(where.host, where.port) as stream:
        await stream.send(head.encode() + b"\r\n" + content)
        said = b"".join([chunk async for chunk in stream])
    top, _, rest = said.partition(b"\r\n\r\n")
    return int(top.split()[1]), msgspec.json.decode(rest) if rest else None


CHAT = {"model": "echo", "messages": [{"role": "user", "content": "hi"}]}


@pytest.mark.parametrize("keys", [(), ("k",)])
async def test_members_ask_without_sharing_a_key_and_others_do_not(tmp_path: Path, keys: tuple[str, ...]) -> None:
    """Through the swarm a credential is asked for, whether there are keys or not; a key of the gateway will do, too."""
    house, guest = House(tmp_path, api_keys=keys), member()
    async with house.running():
        shown = house.shown(guest)
        assert (await ask(house.tunnel, "/v1/models", shown))[0] == 200
        assert (await ask(house.tunnel, "/v1/models/echo", shown))[0] == 200
        status, answer = await ask(house.tunnel, "/v1/chat/completions", shown, CHAT)
        assert (status, answer["choices"][0]["message"]["content"]) == (200, "hi")
        for stranger in ("", "sgm_x", credential(guest, guest.id, house.offer.labels[RUN])):
            assert (await ask(house.tunnel, "/v1/models", stranger))[0] == 401
        assert (await ask(house.tunnel, "/livez"))[0] == 200
        for key in keys:
            assert (await ask(house.tunnel, "/v1/swarm", key))[0] == 200


async def test_a_credential_is_good_for_asking_alone(tmp_path: Path) -> None:
    """What comes through the swarm looks as if it came from this machine, and may not do what only that may."""
    house, guest = House(tmp_path), member()
    async with house.running():
        shown = house.shown(guest)
        order = {"node": "echo"}
        for path, body in (
            ("/v1/swarm/drain", order),
            ("/v1/swarm", None),
            ("/v1/requests", None),
            ("/metrics", None),
        ):
            status, told = await ask(house.tunnel, path, shown, body)
            assert status == 401, path
            assert "and nothing else" in told["error"]["message"]
        assert (await ask(house.tunnel, "/v1/swarm/drain", "", order))[0] == 401
        here = Endpoint("127.0.0.1", int(house.url.rpartition(":")[2]))
        assert (await ask(here, "/v1/swarm/drain", "", order))[0] == 200


async def test_a_federated_gateway_of_a_swarm_is_offered_to_it(tmp_path: Path) -> None:
    """With its models, its version, its role, and what credentials are for; nothing secret is in it."""
    house = House(tmp_path, api_keys=("k",))
    async with house.running():
        offer = house.offer
        assert (offer.name, offer.labels["models"], offer.labels["role"]) == ("home", "echo", "owner")
        assert offer.labels.keys() == {"models", "version", "role", "run", "memory_total_bytes", "cores"}
        assert offer.addresses == tuple(house.fake.known)
        assert TOKEN.text not in str(offer)
        first = offer.labels[RUN]
    house.serving = anyio.Event()
    async with house.running():
        assert house.offer.labels[RUN] != first
        assert house.offer.sequence > offer.sequence


async def test_a_gateway_that_drains_withdraws_its_offer_first(tmp_path: Path) -> None:
    """On SIGTERM, while answers go on and members can still be answered."""
    house, guest = House(tmp_path, delay=0.2), member()
    async with house.running(), house.ledger.watch(GATEWAY) as sets:
        assert await anext(sets)
        answers: list[Any] = []
        tunnel, shown = house.tunnel, house.shown(guest)

        async def talk() -> None:
            slow = {"model": "echo", "messages": [{"role": "user", "content": "one two three four five six"}]}
            answers.append(await ask(tunnel, "/v1/chat/completions", shown, slow))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(talk)
            await anyio.sleep(0.3)
            assert house.wish is not None
            await house.wish.send(None)
            while await anext(sets):
                pass
            assert answers == []
            assert tunnel in house.fake.known.values()
        ((status, answer),) = answers
        assert (status, answer["choices"][0]["finish_reason"]) == (200, "stop")
        await house.ended.wait()


async def test_a_gateway_whose_own_models_are_drained_is_not_offered(tmp_path: Path) -> None:
    """Until they are taken back in."""
    house = House(tmp_path)
    async with house.running():
        here = Endpoint("127.0.0.1", int(house.url.rpartition(":")[2]))
        assert house.offer
        assert (await ask(here, "/v1/swarm/drain", "", {"node": "echo"}))[0] == 200
        assert house.ledger.offers(GATEWAY) == ()
        assert (await ask(here, "/v1/swarm/drain", "", {"node": "echo", "drain": False}))[0] == 200
        while not house.ledger.offers(GATEWAY):  # noqa: ASYNC110 -- posted by another task
            await anyio.sleep(0.005)


@pytest.mark.parametrize(("p2p", "federated", "loads"), [(False, True, True), (True, False, True), (True, True, False)])
def test_who_is_not_offered(tmp_path: Path, *, p2p: bool, federated: bool, loads: bool) -> None:
    """One of no swarm, one that keeps to itself, and a mere balancer, by which requests would go in circles."""
    house = House(tmp_path)
    assert offers_itself(house.blueprint)
    settings = msgspec.structs.replace(house.blueprint.settings, p2p=p2p, federated=federated)
    part = Part("b", "For a test.", NoOptions, EchoBackend, loads=loads)  # type: ignore[arg-type]
    others = tuple(each for each in house.blueprint.choices if each.slot is not BACKEND)
    assert not offers_itself(Blueprint(settings, (*others, Choice(BACKEND, part, Options()))))


class Fickle(EchoBackend):
    """Has the models, and the health, that a test gives it."""

    def __init__(self) -> None:
        super().__init__()
        self.names, self.state = ["one"], Health(ready=False)

    def models(self) -> tuple[ModelCard, ...]:
        return tuple(ModelCard(name=name) for name in self.names)

    def health(self) -> Health:
        return self.state


async def test_an_offer_names_what_is_served(tmp_path: Path) -> None:
    """A model that is ready, also while its engine is started anew; not one that is loading, has failed, or is gone."""
    house, backend = House(tmp_path), Fickle()
    house.blueprint = replace(
        house.blueprint,
        choices=tuple(choice(BACKEND, backend) if each.slot == BACKEND else each for each in house.blueprint.choices),
    )

    async def until_named(names: str) -> None:
        while house.offer.labels.get("models", "") != names:  # noqa: ASYNC110 -- seen from outside
            await anyio.sleep(0.01)

    backend.state = Health(ready=True)
    async with house.running():
        await until_named("one")
        backend.names = ["one", "two"]
        await until_named("one, two")
        backend.state = Health(ready=False, reason="is started anew")
        backend.names = ["one", "three"]
        await until_named("one")
        backend.state = Health(ready=True)
        await until_named("one, three")
        backend.state = Health(ready=False, permanent=True)
        await until_named("")


class Slow(FakeTransport):
    """Does not come to listen."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = anyio.Event()

    @asynccontextmanager
    async def expose(self, service: Service, endpoint: Endpoint) -> AsyncGenerator[tuple[str, ...]]:
        self.asked.set()
        await anyio.sleep_forever()
        yield ()


async def test_a_gateway_stops_though_its_transport_is_not_up_yet(tmp_path: Path) -> None:
    """Where many start on one machine that takes minutes; it answers meanwhile, and hears when it is to stop."""
    house, slow = House(tmp_path), Slow()
    house.blueprint = replace(
        house.blueprint,
        choices=tuple(choice(TRANSPORT, slow) if each.slot == TRANSPORT else each for each in house.blueprint.choices),
    )
    house.wish, wishes = anyio.create_memory_object_stream[object](4)
    with anyio.fail_after(20), house.wish, wishes:
        async with anyio.create_task_group() as tasks:

            async def run() -> None:
                await run_until(wishes, house.blueprint, announce=house.announce)
                house.ended.set()

            tasks.start_soon(run)
            await house.serving.wait()
            await slow.asked.wait()
            here = Endpoint("127.0.0.1", int(house.url.rpartition(":")[2]))
            assert (await ask(here, "/v1/models"))[0] == 200
            house.wish.send_nowait(None)
            await house.ended.wait()
    assert house.said[-1] == Stopping(answers=0, seconds=house.blueprint.settings.drain_seconds)
