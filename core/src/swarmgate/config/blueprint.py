"""The blueprint: which parts fill which slots, with which options.  Pure; opens nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, cast

import msgspec

from swarmgate.config.decode import Given, decode
from swarmgate.config.faults import Fault, FaultyConfig, Place, fault, suggest
from swarmgate.config.fields import fields_of
from swarmgate.config.layers import PREFIX, KeyReader, Layer, Sources, read_keys
from swarmgate.config.settings import Settings
from swarmgate.contracts import Backend
from swarmgate.errors import ConfigError, PluginError
from swarmgate.parts import BACKEND, BALANCER, SLOTS, WORKER, Options, Part, Slot
from swarmgate.plugins import Catalogue, Entry

#: Where a value comes from that nobody gave.
DEFAULT = "default"
#: What serves the files of ``--model``.
_MODEL_PART = "llamacpp"
_SETTINGS = "gateway"
_NOWHERE: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Choice:
    """One filled slot.

    *origin* says where it was chosen (``gateway.toml:12``, ``--model``, ``default``), *origins*
    the same for each option, by its name; *distribution* is what brought the part, with its version.
    """

    slot: Slot[Any]
    part: Part[Any, Any]
    options: Options
    origin: str = DEFAULT
    distribution: str = ""
    origins: Mapping[str, str] = field(default_factory=lambda: _NOWHERE)


@dataclass(frozen=True, slots=True)
class Blueprint:
    """What to run: the core's settings and the choice for every slot, in the order of opening.

    *origins* says where each setting came from, by its name.  ``settings.api_keys`` holds the keys
    of ``settings.api_key_file`` too.  *peer* is what asks the gateways of the ledger, None if nobody shall.
    *shadow* is the balancer that ``settings.shadow`` names, with its options as they are by themselves.
    """

    settings: Settings = field(default_factory=Settings)
    choices: tuple[Choice, ...] = ()
    origins: Mapping[str, str] = field(default_factory=lambda: _NOWHERE)
    peer: Part[Any, Backend] | None = None
    shadow: Choice | None = None

    def of(self, slot: Slot[Any]) -> tuple[Choice, ...]:
        """Return the choices for *slot*, in the order of the configuration."""
        return tuple(choice for choice in self.choices if choice.slot.name == slot.name)

    def opened_by(self, role: str) -> tuple[Choice, ...]:
        """Return what the command *role* (``run``, ``worker``) opens, in the order of opening."""
        return tuple(choice for choice in self.choices if choice.slot.role == role)


def draw(sources: Sources, catalogue: Catalogue, *, read: KeyReader = read_keys, local: bool = True) -> Blueprint:
    """Draw the blueprint that *sources* ask for, from what *catalogue* offers.

    *read* is asked for the keys in ``api_key_file``.  Unless *local*, no backend is chosen that loads a model here.

    Raises:
        FaultyConfig: with every fault there is, sorted by line.

    """
    return _Draft(sources, catalogue, read, local=local).finish()


def draw_worker(sources: Sources, catalogue: Catalogue, name: str, flags: Mapping[str, Any]) -> tuple[Settings, Choice]:
    """Choose the lender called *name* with the options that *flags*, the environment and files give it.

    *flags* are keyed by option; the variable of an option is ``GATEWAY_WORKER_<OPTION>``, and the
    table ``[worker]`` counts if it chose the same part.

    Raises:
        FaultyConfig: with every fault there is in what a worker needs.

    """
    return _Draft(sources, catalogue, read_keys).finish_worker(name, flags)


class _Draft:
    """A blueprint in the making: what was found wrong so far is in *faults*."""

    def __init__(self, sources: Sources, catalogue: Catalogue, read: KeyReader, *, local: bool = True) -> None:
        self.sources = sources
        self.catalogue = catalogue
        self.read = read
        self.local = local
        self.faults: list[Fault] = list(sources.faults)
        self.settings_given: dict[str, Given] = {}

    def finish(self) -> Blueprint:
        self._tables_are_known()
        settings, origins = self._settings()
        nodes = tuple(self._nodes(settings))
        choices: list[Choice] = []
        for slot in SLOTS:
            choices += self._fill(slot, elsewhere=settings.federated or nodes)
            choices += nodes if slot is BACKEND else ()
        peer = self._peer(settings, origins["peer_backend"]) if settings.federated else None
        shadow = self._shadow(settings.shadow, origins["shadow"]) if settings.shadow else None
        if self.faults:
            raise FaultyConfig(self.faults)
        return Blueprint(settings, tuple(choices), MappingProxyType(origins), peer, shadow)

    def finish_worker(self, name: str, flags: Mapping[str, Any]) -> tuple[Settings, Choice]:
        self._tables_are_known()
        settings, _ = self._settings()
        choice = self._lend(name, Sources(flags=flags))
        if self.faults or choice is None:
            raise FaultyConfig(self.faults)
        return settings, choice

    def _lend(self, name: str, flags: Sources) -> Choice | None:
        place = Place(f"gateway worker {name}", rank=len(self.sources.files))
        try:
            entry = self.catalogue.find(WORKER, name)
        except PluginError as error:
            self._fault(place, str(error))
            return None
        layer = next((layer for layer in self.sources.files if WORKER.name in layer.data), None)
        tables = [given for given, _ in self._tables(WORKER, layer)] if layer else []
        given = next((table for table in tables if "use" in table and table["use"].value == name), dict[str, Given]())
        for option in (*fields_of(entry.part.options), *flags.flags):
            said = flags.named(option) or self.sources.variable(f"{PREFIX}WORKER_{option.upper()}")
            given = {**given, option: said} if said else given
        return self._decode(entry, {option: each for option, each in given.items() if option != "use"}, place)

    def _tables_are_known(self) -> None:
        known = (_SETTINGS, *(slot.name for slot in SLOTS))
        for layer in self.sources.files:
            for name, value in layer.data.items():
                if name in known:
                    continue
                what = f"unknown table [{name}]" if isinstance(value, dict | list) else f"unknown option {name!r}"
                remedy = suggest(name, known)
                if not isinstance(value, dict | list) and name in fields_of(Settings):
                    remedy = f"it belongs below [{_SETTINGS}]"
                self._fault(layer.place.at(name), f"{what}; {remedy}")

    def _settings(self) -> tuple[Settings, dict[str, str]]:
        given = self.settings_given
        for layer in reversed(self.sources.files):
            table = layer.data.get(_SETTINGS, {})
            place = layer.place.at(_SETTINGS)
            if isinstance(table, dict):
                table = cast("dict[str, Any]", table)
                given |= {name: Given(value, place.at(name)) for name, value in table.items()}
            else:
                self._fault(place, f"{_SETTINGS} is one table; write [{_SETTINGS}]")
        fields = fields_of(Settings)
        given |= {name: said for name in fields if (said := self.sources.named(name))}
        settings = decode(Settings, given, Place("configuration"), self.faults.append) or Settings()
        if settings.api_key_file is not None:
            try:
                keys = (*settings.api_keys, *self.read(settings.api_key_file))
                settings = msgspec.structs.replace(settings, api_keys=keys)
            except ConfigError as error:
                self._fault(given["api_key_file"].place, f"api_key_file {settings.api_key_file!r}: {error}")
        return settings, {name: str(given[name].place) if name in given else DEFAULT for name in fields}

    def _shadow(self, name: str, origin: str) -> Choice | None:
        place = self.settings_given["shadow"].place
        try:
            entry = self.catalogue.find(BALANCER, name)
        except PluginError as error:
            self._fault(place, f"shadow: {error}")
            return None
        return self._decode(entry, {}, place, origin=origin)

    def _nodes(self, settings: Settings) -> Iterator[Choice]:
        """Yield a backend for each URL of ``--node``, or failing that ``GATEWAY_NODES``."""
        said = self.sources.named("node", variable=f"{PREFIX}NODES")
        if said is None:
            return
        urls: list[str] = (said.value if isinstance(said.value, str) else ",".join(said.value)).split(",")
        given = {"use": Given(settings.peer_backend, said.place)}
        if settings.peer_api_key_file is not None:
            given["api_key_file"] = Given(settings.peer_api_key_file, said.place)
        for url in dict.fromkeys(text.strip() for text in urls if text.strip()):
            if choice := self._choose(BACKEND, {**given, "url": Given(url, said.place)}, said.place):
                yield choice

    def _peer(self, settings: Settings, origin: str) -> Part[Any, Backend] | None:
        try:
            return self.catalogue.find(BACKEND, settings.peer_backend).part
        except PluginError as error:
            self._fault(Place(f"peer_backend ({origin})"), str(error))
            return None

    def _fill(self, slot: Slot[Any], *, elsewhere: object = None) -> Iterator[Choice]:
        """Yield the choices for *slot*: what was asked for, or else the first default that is installed.

        Where answers come from *elsewhere* as well there need be no backend here.
        """
        if slot is BACKEND and not self.local:
            yield from (choice for choice in self._listed(slot) if not choice.part.loads)
            return
        if slot is BACKEND and (models := self.sources.named("model")):
            yield from self._serve(models)
            return
        layer = next((layer for layer in self.sources.files if slot.name in layer.data), None)
        tables = list(self._tables(slot, layer)) if layer else []
        named = self.sources.named(slot.name) if not slot.many and slot.role == "run" else None
        if named:
            # The options stand if the file chose the same part; those of another part mean nothing to this one.
            same = [given for given, _ in tables if "use" in given and given["use"].value == named.value]
            tables = [({**(same[0] if same else {}), "use": named}, named.place)]
        elif layer is None:
            yield from self._fall_back(slot)
            return
        elif slot.needed and layer.data[slot.name] == [] and not (slot is BACKEND and elsewhere):
            self._fault(layer.place.at(slot.name), f"there has to be a {slot.name}; leave this out for the default")
        for given, place in tables:
            if choice := self._choose(slot, given, place):
                yield choice

    def _listed(self, slot: Slot[Any]) -> Iterator[Choice]:
        """Yield what the nearest file that has tables for *slot* chooses."""
        layer = next((layer for layer in self.sources.files if slot.name in layer.data), None)
        for given, place in self._tables(slot, layer) if layer else ():
            if choice := self._choose(slot, given, place):
                yield choice

    def _serve(self, models: Given) -> Iterator[Choice]:
        files = models.value.split(",") if isinstance(models.value, str) else models.value
        for file in filter(None, map(str.strip, files)):
            use = Given(_MODEL_PART, models.place)
            if choice := self._choose(BACKEND, {"use": use, "model": Given(file, models.place)}, models.place):
                yield choice

    def _tables(self, slot: Slot[Any], layer: Layer) -> Iterator[tuple[dict[str, Given], Place]]:
        value, place = layer.data[slot.name], layer.place.at(slot.name)
        if isinstance(value, list) and not slot.many:
            # The second table is the one too many, if there is a second.
            self._fault(place.at(1), f"only one {slot.name} can be used; write [{slot.name}], not [[{slot.name}]]")
            return
        several = cast("list[Any]", value) if isinstance(value, list) else [value]
        for index, table in enumerate(several):
            here = place.at(index) if isinstance(value, list) else place
            if isinstance(table, dict):
                table = cast("dict[str, Any]", table)
                yield {name: Given(each, here.at(name)) for name, each in table.items()}, here
            else:
                heading = f"[[{slot.name}]]" if slot.many else f"[{slot.name}]"
                self._fault(here, f'{slot.name} has to be a table; write {heading} and use = "..." below it')

    def _choose(self, slot: Slot[Any], given: dict[str, Given], place: Place) -> Choice | None:
        use = given.get("use")
        if use is None or not isinstance(use.value, str):
            known = ", ".join(self.catalogue.names(slot)) or "none"
            self._fault(use.place if use else place, f'say which {slot.name}: use = "..."; installed: {known}')
            return None
        try:
            entry = self.catalogue.find(slot, use.value)
        except PluginError as error:
            self._fault(use.place, str(error))
            return None
        return self._decode(entry, {name: each for name, each in given.items() if name != "use"}, place)

    def _fall_back(self, slot: Slot[Any]) -> Iterator[Choice]:
        """Yield the default choice; one that is there but broken is no reason to take the next quietly."""
        if self.sources.faults:
            return  # a file that could not be read may well say what fills this slot
        for name in slot.defaults:
            if entry := self.catalogue.entries.get((slot.name, name)):
                place = Place(f"{slot.name} {name!r} (the default)", rank=len(self.sources.files))
                if choice := self._decode(entry, {}, place, origin=DEFAULT):
                    yield choice
                return
            if broken := self.catalogue.broken.get(f"{slot.name}/{name}") or self.catalogue.broken.get(name):
                self._fault(Place(f"{slot.name} {name!r} (the default)"), f"cannot be used: {broken}")
                return
        if slot.needed:
            names = ", ".join(slot.defaults)
            self._fault(Place(slot.name), f"none is chosen and no default is installed; install one of: {names}")

    def _decode(self, entry: Entry, given: dict[str, Given], place: Place, *, origin: str = "") -> Choice | None:
        part = entry.part
        for variable, option in part.environ.items():
            said = self.sources.variable(variable)
            if said and (option not in given or given[option].place.in_file):
                given = {**given, option: said}
        try:
            fields = fields_of(part.options)
            options = decode(part.options, given, place, self.faults.append)
        except Exception as error:  # noqa: BLE001 -- types that msgspec cannot read, names that mean nothing
            what = f"{type(error).__name__}: {' '.join(str(error).split())}"
            self._fault(place, f"{entry.origin}: the options of {part.name!r} cannot be read: {what}")
            return None
        if options is None:
            return None
        origins = {name: str(given[name].place) if name in given else DEFAULT for name in fields}
        return Choice(entry.slot, part, options, origin or str(place), entry.origin, MappingProxyType(origins))

    def _fault(self, place: Place, what: str) -> None:
        self.faults.append(fault(place, what))
