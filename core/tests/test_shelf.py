from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

import anyio
import pytest
from msgspec import Meta
from swarmgate.assembly import assemble
from swarmgate.builtin import swarmgate_balancer, swarmgate_ledger
from swarmgate.config.choices import Blueprint, Choice
from swarmgate.config.settings import Settings
from swarmgate.contracts import Backend
from swarmgate.echo import EchoBackend, EchoOptions
from swarmgate.errors import Conflict, RequestError, UnknownModel
from swarmgate.parts import BACKEND, BALANCER, LEDGER, PATH, NoOptions, Options, Part, PartContext
from swarmgate.shelf import Shelf

pytestmark = pytest.mark.anyio

(MEMORY,), (FIRST_FREE,) = swarmgate_ledger(), swarmgate_balancer()
HOUSE = (Choice(LEDGER, MEMORY, NoOptions()), Choice(BALANCER, FIRST_FREE, NoOptions()))


class FileOptions(Options, frozen=True):
    model: Annotated[str, PATH]
    name: str | None = None
    slots: Annotated[int, Meta(ge=1)] = 1
    chat_template_file: Annotated[str, PATH] | None = None


@asynccontextmanager
async def opened(options: FileOptions, context: PartContext) -> AsyncGenerator[Backend]:
    yield EchoBackend(EchoOptions(model=options.name or Path(options.model).stem, slots=options.slots))


LOADER = Part("files", "Made up.", FileOptions, opened)


def put(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"GGUF")


@asynccontextmanager
async def shelf(tmp_path: Path, *choices: Choice, loader: bool = True) -> AsyncGenerator[Shelf]:
    settings = Settings(state_dir=str(tmp_path / "state"), name="test")
    with anyio.fail_after(20):
        async with assemble(Blueprint(settings, (*HOUSE, *choices))) as assembly:
            assert assembly.hosting is not None
            yield Shelf(assembly.hosting, tmp_path / "models", LOADER if loader else None)


async def names(made: Shelf) -> list[str]:
    return [file.name for file, hosted in await made.files() if hosted is None]


async def test_a_file_is_loaded_by_its_name_or_path(tmp_path: Path) -> None:
    """It is no longer among those that are free; loaded again it is the one that is loaded."""
    put(tmp_path / "models", "org/repo/m.gguf", "other.gguf")
    async with shelf(tmp_path) as made:
        assert await names(made) == ["org/repo/m.gguf", "other.gguf"]
        hosted = await made.load("org/repo/m")
        assert (hosted.state, [card.name for card in hosted.cards]) == ("loaded", ["m"])
        assert await names(made) == ["other.gguf"]
        for name in ("m", "m.gguf", "org/repo/m.gguf"):
            assert await made.load(name) is hosted
        assert await made.unload("org/repo/m.gguf") == (hosted,)
        assert hosted.state == "unloaded"
        assert await made.load("m.gguf") is hosted
        assert hosted.state == "loaded"
        await made.unload("m", forget=True)
        assert await names(made) == ["org/repo/m.gguf", "other.gguf"]


async def test_a_file_gets_a_name_and_options(tmp_path: Path) -> None:
    """Sound ones, without paths; a known model has its own."""
    put(tmp_path / "models", "m.gguf")
    async with shelf(tmp_path) as made:
        with pytest.raises(RequestError, match="options: expected a whole number >= 1, found 0"):
            await made.load("m", options={"slots": 0})
        with pytest.raises(RequestError, match=r"options: unknown option 'slot'; did you mean 'slots'\?"):
            await made.load("m", options={"slot": 1})
        with pytest.raises(RequestError, match="chat_template_file: paths are for the configuration alone"):
            await made.load("m", options={"chat_template_file": "/etc/passwd"})
        with pytest.raises(RequestError, match="model: paths are for the configuration alone"):
            await made.load("m", options={"model": "/etc/passwd"})
        hosted = await made.load("m", name="mine", options={"slots": 3})
        assert [(card.name, card.slots) for card in hosted.cards] == [("mine", 3)]
        with pytest.raises(Conflict, match="'mine' is known already, with a name and options of its own"):
            await made.load("mine", options={"slots": 4})


async def test_nothing_outside_of_the_folder_is_loaded(tmp_path: Path) -> None:
    """Whatever a path says; the remedy is told."""
    put(tmp_path, "outside.gguf")
    put(tmp_path / "models", "m.gguf")
    async with shelf(tmp_path) as made:
        for path in (str(tmp_path / "outside.gguf"), "../outside.gguf", "m.gguf/../../outside.gguf", "outside"):
            with pytest.raises(UnknownModel, match="no file in its models folder; `gateway models pull` brings"):
                await made.load(path)


async def test_the_configurations_own_file_is_the_same_model(tmp_path: Path) -> None:
    """Under whatever name it is served, and by whatever way its path leads there."""
    put(tmp_path / "models", "m.gguf")
    (tmp_path / "link").symlink_to(tmp_path / "models")
    choice = Choice(BACKEND, LOADER, FileOptions(model=str(tmp_path / "link" / "m.gguf"), name="ours"))
    by_name = Choice(BACKEND, LOADER, FileOptions(model="m.gguf", name="ours"))
    for each in (choice, by_name):
        async with shelf(tmp_path, each) as made:
            assert await names(made) == []
            hosted = await made.load("m.gguf")
            assert [card.name for card in hosted.cards] == ["ours"]


async def test_what_cannot_be_loaded_is_refused_beforehand(tmp_path: Path) -> None:
    """A model with parts missing, and any where nothing loads files."""
    put(tmp_path / "models", "big-00001-of-00003.gguf", "m.gguf")
    async with shelf(tmp_path) as made:
        with pytest.raises(RequestError, match=r"2 of the parts of 'big-00001-of-00003\.gguf' are missing"):
            await made.load("big")
    async with shelf(tmp_path, loader=False) as made:
        with pytest.raises(RequestError, match="nothing here loads files"):
            await made.load("m")
