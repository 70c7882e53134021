from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest
from swarmgate.assembly import assemble
from swarmgate.builtin import FirstFree, swarmgate_backend, swarmgate_balancer, swarmgate_ledger
from swarmgate.chat import GenerateRequest, TextPrompt, TokenizeRequest
from swarmgate.config.blueprint import Blueprint, Choice
from swarmgate.config.settings import Settings
from swarmgate.contracts import Backend, Ledger
from swarmgate.echo import EchoBackend, EchoOptions
from swarmgate.errors import ConfigError, EngineError, PluginError, Unavailable
from swarmgate.nouns import GATEWAY, LLAMA_RPC, Endpoint, Health, NodeId, Offer, Service, Way
from swarmgate.parts import (
    BACKEND,
    BALANCER,
    DISCOVERY,
    LEDGER,
    SPLITTER,
    TRANSPORT,
    NoOptions,
    Options,
    Part,
    PartContext,
    Slot,
)
from swarmgate.split import SplitPlan

pytestmark = pytest.mark.anyio

(MEMORY,), (FIRST_FREE,), (ECHO,) = swarmgate_ledger(), swarmgate_balancer(), swarmgate_backend()
BALANCED = Choice(BALANCER, FIRST_FREE, NoOptions())
BOOK = Choice(LEDGER, MEMORY, NoOptions())


def chosen(slot: Slot[Any], name: str, make: Callable[[PartContext], object], log: list[str] | None = None) -> Choice:
    """Return a choice of a part that opens what *make* makes, and writes down when."""

    @asynccontextmanager
    async def opened(options: NoOptions, context: PartContext) -> AsyncGenerator[Any]:
        if log is not None:
            log.append(f"+{name}")
        try:
            yield make(context)
        finally:
            if log is not None:
                log.append(f"-{name}")

    return Choice(slot, Part(name, "Made up.", NoOptions, opened), NoOptions())


def drawn(tmp_path: Path, *choices: Choice, **settings: Any) -> Blueprint:
    return Blueprint(Settings(state_dir=str(tmp_path / "state"), name="test", **settings), choices)


def echo(**options: Any) -> Choice:
    return Choice(BACKEND, ECHO, EchoOptions(**options))


class Unloadable(EchoBackend):
    """Has no file to load."""

    async def load(self, plan: SplitPlan) -> None:
        raise EngineError("no such file: x.gguf")

    def health(self) -> Health:
        return Health(ready=False, reason="not loaded yet")


class Nowhere:
    """A transport that reaches nothing."""

    scheme = "tcp"

    @asynccontextmanager
    async def reach(self, address: str) -> AsyncGenerator[Endpoint]:
        yield Endpoint("127.0.0.1", 9)

    @asynccontextmanager
    async def expose(self, service: Service, endpoint: Endpoint) -> AsyncGenerator[tuple[str, ...]]:
        yield ("tcp://127.0.0.1:9",)

    def ways(self) -> tuple[Way, ...]:
        return ()


class Announcing:
    """A discovery that knows of one worker from the start."""

    async def run(self, ledger: Ledger) -> None:
        await ledger.post(Offer(node=NodeId("w"), service=LLAMA_RPC, name="0", addresses=("tcp://w:1",)))
        await anyio.sleep_forever()


class Falling:
    """A discovery that fails."""

    async def run(self, ledger: Ledger) -> None:
        raise OSError("no network")


async def test_a_house_opens_loads_and_answers(tmp_path: Path) -> None:
    """Models load in the background; waiting tells each change of their health; then they answer."""
    heard = list[tuple[str, Health]]()
    async with assemble(drawn(tmp_path, BALANCED, echo(load_seconds=0.2), echo(model="other"), BOOK)) as assembly:
        assert not assembly.dispatcher.health("echo").ready
        assert assembly.dispatcher.health("other").ready
        with anyio.fail_after(10):
            await assembly.wait_ready(lambda name, health: heard.append((name, health)))
        assert assembly.dispatcher.health().ready
        assert sorted(assembly.all(BACKEND)) == ["echo", "echo-2"]
        request = GenerateRequest(id="r", model="other", prompt=TextPrompt(text="hello"))
        async with assembly.dispatcher.generate(request) as deltas:
            assert "".join([delta.text async for delta in deltas]) == "hello"
    assert heard[0] == ("echo", Health(ready=False, reason="loading", progress=0.0))
    assert heard[-1] == ("echo", Health(ready=True))
    assert [name for name, _ in heard].count("echo-2") == 1


async def test_parts_open_in_slot_order_and_close_in_reverse(tmp_path: Path) -> None:
    """Whatever the order of the file; and within a slot in the order of the file."""
    log = list[str]()
    choices = (
        chosen(BACKEND, "z", lambda _: EchoBackend(), log),
        chosen(BACKEND, "a", lambda _: EchoBackend(), log),
        chosen(TRANSPORT, "t", lambda _: Nowhere(), log),
        BALANCED,
        BOOK,
    )
    async with assemble(drawn(tmp_path, *choices)):
        assert log == ["+t", "+z", "+a"]
    assert log == ["+t", "+z", "+a", "-a", "-z", "-t"]


async def test_a_part_finds_what_an_earlier_one_provided(tmp_path: Path) -> None:
    """Parts share through the context; the state folder exists and the node is known."""
    seen = list[object]()

    def transport(context: PartContext) -> object:
        seen.append(context.state_dir)
        context.provide(str, context.node.id)
        return Nowhere()

    def backend(context: PartContext) -> object:
        seen.append(context.require(str, hint="needs a transport"))
        return EchoBackend()

    choices = (chosen(BACKEND, "b", backend), chosen(TRANSPORT, "t", transport), BALANCED, BOOK)
    async with assemble(drawn(tmp_path, *choices)) as assembly:
        assert seen == [tmp_path / "state", assembly.node.id]
        assert assembly.node.name == "test"
    assert (tmp_path / "state").is_dir()


async def test_a_part_that_opens_the_wrong_thing_is_named(tmp_path: Path) -> None:
    """The message names slot, part, what came and what it lacks; what was open is closed."""
    log = list[str]()
    lame = chosen(BALANCER, "lame", lambda _: MEMORY, log)
    blueprint = drawn(tmp_path, chosen(TRANSPORT, "t", lambda _: Nowhere(), log), lame, BOOK, echo())
    with pytest.raises(
        PluginError, match="balancer 'lame' opened a Part, which lacks what Balancer asks: pick, observe"
    ):
        await assemble(blueprint).__aenter__()
    assert log == ["+t", "+lame", "-lame", "-t"]


async def test_a_part_that_would_not_open_is_named(tmp_path: Path) -> None:
    """Foreign exceptions become a PluginError; our own keep their kind."""

    def broken(context: PartContext) -> object:
        raise ZeroDivisionError("oops")

    def faulty(context: PartContext) -> object:
        raise ConfigError("no such folder")

    with pytest.raises(PluginError, match="backend 'b' could not be opened: ZeroDivisionError: oops"):
        await assemble(drawn(tmp_path, BALANCED, BOOK, chosen(BACKEND, "b", broken))).__aenter__()
    with pytest.raises(ConfigError, match="no such folder"):
        await assemble(drawn(tmp_path, BALANCED, BOOK, chosen(BACKEND, "b", faulty))).__aenter__()


async def test_two_transports_of_one_scheme_are_refused(tmp_path: Path) -> None:
    """Nobody could say which of them is meant."""
    twins = [chosen(TRANSPORT, name, lambda _: Nowhere()) for name in ("one", "two")]
    with pytest.raises(ConfigError, match=r"two transports understand tcp:// addresses, 'two' is one; remove one"):
        await assemble(drawn(tmp_path, *twins, BALANCED, BOOK, echo())).__aenter__()


async def test_one_model_that_cannot_be_loaded_does_not_take_the_house_down(tmp_path: Path) -> None:
    """The others serve; if it is the only one, waiting says why at once."""
    bad = chosen(BACKEND, "bad", lambda _: Unloadable())
    heard = dict[str, Health]()
    async with assemble(drawn(tmp_path, BALANCED, BOOK, bad, echo(model="good"))) as assembly:
        with anyio.fail_after(10):
            await assembly.wait_ready(heard.__setitem__)
        assert heard["bad"] == Health(ready=False, reason="no such file: x.gguf", permanent=True)
        assert assembly.dispatcher.health("good").ready
    async with assemble(drawn(tmp_path, BALANCED, BOOK, bad)) as assembly:
        with pytest.raises(EngineError, match=r"no such file: x\.gguf"), anyio.fail_after(10):
            await assembly.wait_ready()


async def test_the_splitter_sees_the_workers_that_are_known_from_the_start(tmp_path: Path) -> None:
    """What a discovery posts first is mustered before the first plan is made."""
    crews = list[int]()

    class Counting:
        def plan(self, model: object, here: int, workers: tuple[object, ...]) -> SplitPlan:
            if not workers:
                raise Unavailable("fits only into others")
            crews.append(len(workers))
            return SplitPlan()

    choices = (
        BALANCED,
        BOOK,
        echo(load_seconds=0.01),
        chosen(TRANSPORT, "t", lambda _: Nowhere()),
        chosen(DISCOVERY, "d", lambda _: Announcing()),
        chosen(SPLITTER, "s", lambda _: Counting()),
    )
    async with assemble(drawn(tmp_path, *choices)) as assembly:
        with anyio.fail_after(10):
            await assembly.wait_ready()
    assert crews == [1]


async def test_a_part_that_falls_ends_the_house_in_order(tmp_path: Path) -> None:
    """Its name and reason come out as one error, not in a group, and every part is closed."""
    log = list[str]()
    falling = chosen(DISCOVERY, "d", lambda _: Falling())
    with pytest.raises(PluginError, match="discovery 'd' failed: OSError: no network"), anyio.fail_after(10):
        async with assemble(
            drawn(tmp_path, BALANCED, BOOK, falling, chosen(BACKEND, "b", lambda _: EchoBackend(), log))
        ):
            await anyio.sleep_forever()
    assert log == ["+b", "-b"]


async def test_settings_reach_the_queue(tmp_path: Path) -> None:
    """A queue of no length turns away whoever finds no slot."""
    blueprint = drawn(tmp_path, BALANCED, BOOK, echo(), queue_limit=3, queue_seconds=0.5)
    async with assemble(blueprint) as assembly:
        assert assembly.dispatcher is assembly.dispatcher
        assert assembly.dispatcher._admission.queue_seconds == 0.5
        assert "Assembly of test: memory, first_free, echo" in repr(assembly)
        with pytest.raises(ConfigError, match="nothing fills the slot splitter"):
            assembly.one(SPLITTER)
        backend: Backend = assembly.one(BACKEND)
        assert backend.models()[0].name == "echo"


class UrlOptions(Options, frozen=True):
    url: str


async def test_gateways_in_the_ledger_become_backends(tmp_path: Path) -> None:
    """By the blueprint's part for peers, with nothing to load; this gateway's own offer is none."""

    @asynccontextmanager
    async def opened(options: UrlOptions, context: PartContext) -> AsyncGenerator[Backend]:
        yield EchoBackend(EchoOptions(model=options.url))

    @asynccontextmanager
    async def reach(address: str) -> AsyncGenerator[Endpoint]:
        yield Endpoint("127.0.0.1", 9 if "n1" in address else 8)

    anywhere = chosen(TRANSPORT, "t", lambda _: Nowhere())
    blueprint = Blueprint(
        Settings(state_dir=str(tmp_path / "state"), name="test", federated=True),
        (BALANCED, BOOK, anywhere),
        peer=Part("p", "Asks.", UrlOptions, opened, loads=False),
    )
    with anyio.fail_after(10):
        async with assemble(blueprint) as assembly:
            await assembly.wait_ready()
            transport: Any = assembly.one(TRANSPORT)
            transport.reach = reach
            ledger: Ledger = assembly.one(LEDGER)
            for node in ("n1", assembly.node.id):
                await ledger.post(Offer(node=NodeId(node), service=GATEWAY, name=node, addresses=(f"tcp://{node}:9",)))
            while not assembly.all(BACKEND):  # noqa: ASYNC110 -- seen from outside, there is nothing to wait on
                await anyio.sleep(0.01)
            assert list(assembly.all(BACKEND)) == ["n1"]
            assert [card.name for card in assembly.dispatcher.models()] == ["http://127.0.0.1:9"]
            assert assembly.loading.loads == []


async def test_what_only_asks_elsewhere_is_not_waited_for(tmp_path: Path) -> None:
    """A node that is down keeps nobody from starting, and no plan is made for it."""
    part = Part("p", "Asks.", EchoOptions, ECHO.open, loads=False)
    elsewhere = Choice(BACKEND, part, EchoOptions(load_seconds=99))
    with anyio.fail_after(5):
        async with assemble(drawn(tmp_path, BALANCED, BOOK, elsewhere)) as assembly:
            await assembly.wait_ready()
            assert assembly.loading.loads == []


async def test_a_model_that_fails_here_does_not_close_the_door_to_other_nodes(tmp_path: Path) -> None:
    """Where others answer too, the house stays open."""
    part = Part("p", "Asks.", EchoOptions, ECHO.open, loads=False)
    broken = chosen(BACKEND, "b", lambda _: Unloadable())
    with anyio.fail_after(5):
        async with assemble(drawn(tmp_path, BALANCED, BOOK, broken, Choice(BACKEND, part, EchoOptions()))) as assembly:
            await assembly.wait_ready()
            assert [card.name for card in assembly.dispatcher.models()] == ["echo"]


async def test_a_shadow_watches_the_dispatcher(tmp_path: Path) -> None:
    """It is open while the house is, asked about requests, and fills no slot."""
    log = list[str]()
    shadow = chosen(BALANCER, "s", lambda _: FirstFree(), log)
    plain = drawn(tmp_path, BALANCED, BOOK, echo())
    async with assemble(plain) as assembly:
        assert assembly.shadow is None
    async with assemble(replace(plain, shadow=shadow)) as assembly:
        await assembly.wait_ready()
        await assembly.dispatcher.tokenize(TokenizeRequest(model="echo", text="x"))
        assert assembly.shadow is not None
        assert assembly.shadow.counts == {True: 1, False: 0}
        assert list(assembly.all(BALANCER)) == ["first_free"]
        assert log == ["+s"]
    assert log == ["+s", "-s"]
