from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest
from swarmgate.assembly import Assembly, assemble
from swarmgate.builtin import swarmgate_balancer, swarmgate_ledger
from swarmgate.chat import Delta, GenerateRequest, TextPrompt
from swarmgate.config.choices import Blueprint, Choice
from swarmgate.config.settings import Settings
from swarmgate.contracts import Backend
from swarmgate.echo import EchoBackend, EchoOptions
from swarmgate.errors import (
    ConfigError,
    Conflict,
    EngineError,
    LoadFailed,
    NotLoaded,
    Unavailable,
    UnknownModel,
)
from swarmgate.hosting import Hosting
from swarmgate.nouns import Health
from swarmgate.parts import BACKEND, BALANCER, LEDGER, SPLITTER, NoOptions, Part, PartContext
from swarmgate.split import SplitPlan

pytestmark = pytest.mark.anyio

(MEMORY,), (FIRST_FREE,) = swarmgate_ledger(), swarmgate_balancer()
HOUSE = (Choice(LEDGER, MEMORY, NoOptions()), Choice(BALANCER, FIRST_FREE, NoOptions()))


class Bench:
    """Opens echoes, and writes down what is open; *broken* is what opening raises, *made* makes something else."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.broken: Exception | None = None
        self.made: Callable[[EchoOptions], Backend] = EchoBackend
        self.fall = anyio.Event()

    @asynccontextmanager
    async def opened(self, options: EchoOptions, context: PartContext) -> AsyncGenerator[Backend]:
        if self.broken is not None:
            raise self.broken
        self.log.append(f"+{options.model}")
        try:
            yield self.made(options)
        finally:
            self.log.append(f"-{options.model}")

    def choice(self, model: str = "m", *, loads: bool = True, **options: Any) -> Choice:
        part = Part("b", "Made up.", EchoOptions, self.opened, loads=loads)
        return Choice(BACKEND, part, EchoOptions(model=model, **options))


class Gated(EchoBackend):
    """Says the first piece of an answer, and the rest once its *gate* is open."""

    gate = anyio.Event()

    async def _paced(self, pieces: Iterator[Delta]) -> AsyncGenerator[Delta]:
        for piece in pieces:
            await anyio.lowlevel.checkpoint()
            yield piece
            if piece.text:
                await self.gate.wait()


class Broken(EchoBackend):
    """Cannot be loaded by anybody."""

    async def load(self, plan: SplitPlan) -> None:
        raise EngineError("no magic")

    def health(self) -> Health:
        return Health(ready=False, reason="not loaded yet")


@asynccontextmanager
async def house(tmp_path: Path, *choices: Choice) -> AsyncGenerator[tuple[Assembly, Hosting]]:
    settings = Settings(state_dir=str(tmp_path / "state"), name="test", canary_seconds=0, queue_seconds=5)
    with anyio.fail_after(20):
        async with assemble(Blueprint(settings, (*HOUSE, *choices))) as assembly:
            if choices:
                await assembly.wait_ready()
            assert assembly.hosting is not None
            yield assembly, assembly.hosting


async def said(assembly: Assembly, text: str, model: str = "m") -> str:
    request = GenerateRequest(id="r", model=model, prompt=TextPrompt(text=text))
    async with assembly.dispatcher.generate(request) as deltas:
        return "".join([delta.text async for delta in deltas])


def states(assembly: Assembly) -> dict[str, str]:
    return {placed.model: placed.state for placed in assembly.placed()}


async def test_unloading_closes_and_loading_opens_again(tmp_path: Path) -> None:
    """The model stays known meanwhile, requests are told how it is loaded, and nobody is less ready for it."""
    bench = Bench()
    async with house(tmp_path, bench.choice(), bench.choice("other")) as (assembly, hosting):
        assert states(assembly) == {"m": "loaded", "other": "loaded"}
        (hosted,) = await hosting.unload("m")
        assert bench.log == ["+m", "+other", "-m"]
        assert (hosted.name, hosted.state) == ("b", "unloaded")
        assert states(assembly) == {"other": "loaded", "m": "unloaded"}
        assert list(assembly.all(BACKEND)) == ["b-2"]
        assert assembly.loaded_names == {"b-2"}
        assert [card.name for card in assembly.dispatcher.models()] == ["m", "other"]
        assert assembly.dispatcher.health().ready
        assert assembly.dispatcher.health("m").unloaded
        with pytest.raises(NotLoaded, match="model 'm' is unloaded; `gateway models load m` loads it"):
            await said(assembly, "hello")
        assert await said(assembly, "hello", "other") == "hello"
        assert (await hosting.load("m")).state == "loaded"
        assert await said(assembly, "hello") == "hello"
        assert bench.log == ["+m", "+other", "-m", "+m"]
        assert list(assembly.all(BACKEND)) == ["b-2", "b"]
    assert bench.log[4:] == ["-other", "-m"]


async def test_answers_are_finished_first(tmp_path: Path) -> None:
    """Nothing new is begun meanwhile, nor is it loaded again."""
    bench, Gated.gate = Bench(), anyio.Event()
    bench.made = Gated
    async with house(tmp_path, bench.choice()) as (assembly, hosting):
        request = GenerateRequest(id="r", model="m", prompt=TextPrompt(text="one two three four"))
        async with anyio.create_task_group() as tasks, assembly.dispatcher.generate(request) as deltas:
            text = (await anext(deltas)).text
            tasks.start_soon(partial(hosting.unload, "m"))
            await anyio.wait_all_tasks_blocked()
            assert states(assembly) == {"m": "unloading"}
            assert bench.log == ["+m"]
            with pytest.raises(NotLoaded, match="is being unloaded"):
                await said(assembly, "hello")
            with pytest.raises(Conflict, match="'m' is being unloaded; load it when that is done"):
                await hosting.load("m")
            Gated.gate.set()
            text += "".join([delta.text async for delta in deltas])
            assert text == "one two three four"
        assert bench.log == ["+m", "-m"]
        assert states(assembly) == {"m": "unloaded"}


async def test_by_force_they_are_not(tmp_path: Path) -> None:
    """Also by a second order that is in more of a hurry than the first; without waiting one hears at once."""
    bench, Gated.gate = Bench(), anyio.Event()
    bench.made = Gated
    async with house(tmp_path, bench.choice()) as (assembly, hosting):
        request = GenerateRequest(id="r", model="m", prompt=TextPrompt(text="one two"))

        async def ask() -> None:
            async with assembly.dispatcher.generate(request) as deltas:
                async for _ in deltas:
                    pass

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask)
            while not assembly.dispatcher.in_flight("b"):  # noqa: ASYNC110 -- seen from outside
                await anyio.sleep(0.01)
            assert [hosted.state for hosted in await hosting.unload("m", wait=False)] == ["unloading"]
            await hosting.unload("m", force=True)
            assert states(assembly) == {"m": "unloaded"}
            tasks.cancel_scope.cancel()


async def test_two_backends_of_one_model_are_unloaded_together(tmp_path: Path) -> None:
    """And those of other machines are left alone: a model that only they have is not ours to unload."""
    bench = Bench()
    choices = (bench.choice(), bench.choice(), bench.choice("far", loads=False), bench.choice(loads=False))
    async with house(tmp_path, *choices) as (assembly, hosting):
        assert len(await hosting.unload("m")) == 2
        assert await said(assembly, "hello") == "hello"
        for order in (hosting.unload, hosting.load):
            with pytest.raises(UnknownModel, match="no model of this machine is called 'far'; there are: m"):
                await order("far")


async def test_a_model_is_added_at_run_time(tmp_path: Path) -> None:
    """Also to a house without any; once unloaded it can be forgotten, which one of the configuration cannot."""
    bench = Bench()
    async with house(tmp_path, bench.choice(loads=False)) as (assembly, hosting):
        hosted = await hosting.add(bench.choice("new", aliases=("n",)))
        assert await said(assembly, "hello", "n") == "hello"
        assert (hosted.name, hosted.added, states(assembly)) == ("b-2", True, {"new": "loaded"})
        assert await hosting.add(bench.choice("new", aliases=("n",))) is hosted
        await hosting.unload("n")
        assert states(assembly) == {"new": "unloaded"}
        await hosting.unload("new", forget=True)
        assert states(assembly) == {}
        assert [card.name for card in assembly.dispatcher.models()] == ["m"]
    async with house(tmp_path, bench.choice()) as (assembly, hosting):
        with pytest.raises(Conflict, match="'m' is in the configuration, and stays known"):
            await hosting.unload("m", forget=True)
        assert states(assembly) == {"m": "loaded"}


async def test_a_name_that_another_model_has_is_refused(tmp_path: Path) -> None:
    """They would pass for one and the same."""
    bench = Bench()
    async with house(tmp_path, bench.choice()) as (assembly, hosting):
        with pytest.raises(Conflict, match="another model of this machine is called 'm' already"):
            await hosting.add(bench.choice("m", slots=9))
        assert bench.log == ["+m", "+m", "-m"]
        assert await said(assembly, "hello") == "hello"


async def test_what_cannot_be_loaded_is_closed_and_may_be_tried_again(tmp_path: Path) -> None:
    """Whoever waits is told why, and who asks it for an answer; the reason stays until somebody tries again."""
    bench = Bench()
    bench.made = Broken
    async with house(tmp_path, bench.choice("ok", loads=False)) as (assembly, hosting):
        with pytest.raises(LoadFailed, match="no magic"):
            await hosting.add(bench.choice())
        assert bench.log == ["+ok", "+m", "-m"]
        assert states(assembly) == {"m": "failed"}
        assert [placed.waiting for placed in assembly.placed()] == ["no magic"]
        with pytest.raises(NotLoaded, match="could not be loaded: no magic"):
            await said(assembly, "hello")
        bench.broken = ConfigError("no such file")
        with pytest.raises(LoadFailed, match="no such file"):
            await hosting.load("m")
        assert [placed.waiting for placed in assembly.placed()] == ["no such file"]
        with pytest.raises(LoadFailed, match="no such file"):
            await hosting.add(bench.choice("another"))
        assert states(assembly) == {"m": "failed"}
        bench.broken, bench.made = None, EchoBackend
        await hosting.load("m")
        assert states(assembly) == {"m": "loaded"}


async def test_one_that_failed_at_the_start_is_opened_anew(tmp_path: Path) -> None:
    """Its file may be sound by now."""
    bench = Bench()
    bench.made = Broken
    async with house(tmp_path, bench.choice(), bench.choice("ok", loads=False)) as (assembly, hosting):
        assert states(assembly) == {"m": "failed"}
        bench.made = EchoBackend
        await hosting.load("m")
        assert bench.log == ["+m", "+ok", "-m", "+m"]
        assert await said(assembly, "hello") == "hello"


async def test_what_does_not_fit_now_is_said(tmp_path: Path) -> None:
    """It is loaded once it fits, unless it is unloaded before."""

    class Full:
        def plan(self, model: object, here: int, workers: object) -> SplitPlan:
            raise Unavailable("needs 2 GB, has 1 GB")

    @asynccontextmanager
    async def full(options: NoOptions, context: PartContext) -> AsyncGenerator[Any]:
        yield Full()

    splitter = Choice(SPLITTER, Part("s", "Made up.", NoOptions, full), NoOptions())
    bench = Bench()
    async with house(tmp_path, bench.choice("ok", loads=False), splitter) as (assembly, hosting):
        with pytest.raises(Unavailable, match="'m' is not loaded yet: needs 2 GB, has 1 GB"):
            await hosting.add(bench.choice(load_seconds=1))
        assert states(assembly) == {"m": "waiting"}
        await hosting.unload("m")
        assert states(assembly) == {"m": "unloaded"}


async def test_unloading_ends_a_load_under_way(tmp_path: Path) -> None:
    """Who waits for the load is told."""
    bench = Bench()
    async with house(tmp_path, bench.choice("ok", loads=False)) as (assembly, hosting):
        hosted = await hosting.add(bench.choice(load_seconds=60), wait=False)
        assert hosted.state == "loading"

        async def waits() -> None:
            with pytest.raises(Conflict, match="it was unloaded while it was loaded"):
                await hosting.load("m")

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(waits)
            await anyio.wait_all_tasks_blocked()
            await hosting.unload("m")
        assert states(assembly) == {"m": "unloaded"}


async def test_it_hears_of_every_change(tmp_path: Path) -> None:
    """Whatever has to follow, such as this gateway's offer."""
    bench, heard = Bench(), list[dict[str, str]]()
    async with house(tmp_path, bench.choice()) as (assembly, hosting):

        async def changed() -> None:
            heard.append(states(assembly))

        hosting.changed = changed
        await hosting.unload("m")
        await anyio.wait_all_tasks_blocked()
        await hosting.load("m")
    assert [told["m"] for told in heard] == ["unloaded", "loaded"]
