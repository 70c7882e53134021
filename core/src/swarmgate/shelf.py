"""The models folder beside what is loaded: what an operator names while the gateway runs, found and loaded."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio.to_thread

from swarmgate.config.choices import Choice
from swarmgate.config.decode import Given, decode
from swarmgate.config.faults import Fault, Place
from swarmgate.config.fields import fields_of
from swarmgate.contracts import Backend
from swarmgate.errors import Conflict, RequestError, UnknownModel
from swarmgate.hosted import Hosted
from swarmgate.hosting import Hosting
from swarmgate.modelfiles import ModelFile, find, locate, scan
from swarmgate.parts import BACKEND, Part

#: What the part that loads GGUF files calls the file, and what clients call the model.
_FILE, _NAME = "model", "name"


class Shelf:
    """The models that *hosting* has, and the files in *folder*, which *loader* loads.

    Nothing outside of the folder can be named: whoever may order over HTTP shall not read the whole machine.
    """

    def __init__(self, hosting: Hosting, folder: Path, loader: Part[Any, Backend] | None) -> None:
        self._hosting, self._folder, self._loader = hosting, folder, loader

    def __repr__(self) -> str:
        return f"<Shelf of {self._hosting}>"

    async def files(self) -> tuple[tuple[ModelFile, Hosted | None], ...]:
        """Return the models in the folder, each with the backend of this machine that has it, loaded or not."""

        def look() -> tuple[tuple[ModelFile, Hosted | None], ...]:
            held = self._held()
            return tuple((file, held.get(self._path(file))) for file in scan(self._folder))

        return await anyio.to_thread.run_sync(look)

    async def _files(self) -> tuple[ModelFile, ...]:
        return await anyio.to_thread.run_sync(scan, self._folder)

    async def load(
        self, model: str, *, name: str | None = None, options: Mapping[str, Any] | None = None, wait: bool = True
    ) -> Hosted:
        """Load *model*: one that is known by that name or alias, or else a file in the folder.

        A file is taken in with *options* of the part that loads it, and clients call it *name*.  Unless *wait*, return
        before it is loaded.

        Raises:
            UnknownModel: there is neither such a model nor such a file.
            RequestError: several files are meant, or the options are wrong.
            Conflict: the model is being unloaded, or another one has its name.
            LoadFailed: it cannot be loaded.
            Unavailable: it cannot be loaded now; it will be once it can.

        """
        hosted = next((each for each in self._hosting.hosted if each.choice.part.loads and each.serves(model)), None)
        if hosted is None:
            file = find(await self._files(), model)
            if file is None:
                raise UnknownModel(self._unknown(model), param="model")
            hosted = await self._holder(file)
            if hosted is None:
                choice = await anyio.to_thread.run_sync(self._choice, file, name, options or {})
                return await self._hosting.add(choice, wait=wait)
        if name is not None or options:
            raise Conflict(f"{hosted.cards[0].name!r} is known already, with a name and options of its own")
        return await self._hosting.load(hosted.cards[0].name, wait=wait)

    async def unload(
        self, model: str, *, force: bool = False, wait: bool = True, forget: bool = False
    ) -> tuple[Hosted, ...]:
        """Unload *model*, also one that is named by its file.  Raises like :meth:`Hosting.unload`."""
        if not any(each.serves(model) for each in self._hosting.hosted):
            file = find(await self._files(), model)
            hosted = None if file is None else await self._holder(file)
            model = model if hosted is None else hosted.cards[0].name
        return await self._hosting.unload(model, force=force, wait=wait, forget=forget)

    def _unknown(self, model: str) -> str:
        # what is not in the folder cannot be named, wherever it is
        known = sorted({card.name for each in self._hosting.hosted if each.choice.part.loads for card in each.cards})
        return (
            f"no model of this machine is called {model!r} (there are: {', '.join(known) or 'none'}), and no file in"
            " its models folder; `gateway models pull` brings files there, also such as are elsewhere on this machine"
        )

    async def _holder(self, file: ModelFile) -> Hosted | None:
        """Return who has *file* already."""
        return await anyio.to_thread.run_sync(lambda: self._held().get(self._path(file)))

    def _held(self) -> dict[Path, Hosted]:
        """Return who has which file, by its path without links."""
        given = [(getattr(hosted.choice.options, _FILE, None), hosted) for hosted in self._hosting.hosted]
        held: dict[Path, Hosted] = {}
        for path, hosted in given:
            if isinstance(path, str):
                with suppress(RequestError):  # it may mean several by now
                    held[locate(path, self._folder).resolve()] = hosted
        return held

    def _path(self, file: ModelFile) -> Path:
        return (self._folder / file.name).resolve()

    def _choice(self, file: ModelFile, name: str | None, options: Mapping[str, Any]) -> Choice:
        """Return what loads *file*; what options mean is read from files."""
        if self._loader is None:
            raise RequestError("nothing here loads files: install swarmgate-backend-llamacpp, and start `gateway run`")
        if file.missing:
            raise RequestError(f"{file.missing} of the parts of {file.name!r} are missing in the models folder")
        kind = self._loader.options
        fields = fields_of(kind)
        if refused := sorted(option for option in options if option in fields and fields[option].path):
            raise RequestError(f"{', '.join(refused)}: paths are for the configuration alone", param="options")
        place = Place("options")
        given = {option: Given(value, place) for option, value in options.items()}
        given[_FILE] = Given(str(self._folder / file.name), place)
        if name is not None:
            given[_NAME] = Given(name, place)
        faults: list[Fault] = []
        made = decode(kind, given, place, faults.append)
        if made is None:
            raise RequestError("; ".join(map(str, faults)), param="options")
        return Choice(BACKEND, self._loader, made, origin="run time")
