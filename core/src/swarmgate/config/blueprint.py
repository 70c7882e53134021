"""Draws the blueprint: which parts fill which slots, with which options.  Pure; opens nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, cast

import msgspec

from swarmgate.config import localai
from swarmgate.config.choices import DEFAULT, Blueprint, Choice
from swarmgate.config.decode import Given, decode
from swarmgate.config.faults import Fault, FaultyConfig, Place, fault, suggest
from swarmgate.config.fields import fields_of
from swarmgate.config.layers import PREFIX, KeyReader, Layer, Sources, read_keys
from swarmgate.config.settings import Settings
from swarmgate.config.tickets import TokenFault, admit, choose
from swarmgate.contracts import Backend
from swarmgate.errors import ConfigError, PluginError
from swarmgate.parts import (
    BACKEND,
    BALANCER,
    DISCOVERY,
    LEDGER,
    MEMBERS_REMEDY,
    SLOTS,
    TRANSPORT,
    WORKER,
    Part,
    Slot,
)
from swarmgate.plugins import Catalogue, Entry

__all__ = ["DEFAULT", "Blueprint", "Choice", "draw", "draw_settings", "draw_worker"]

#: What serves the files of ``--model``.
_MODEL_PART = "llamacpp"
_SETTINGS = "gateway"
#: What a worker opens beside what it lends, so that its swarm hears of it.
_WORKERS_SWARM: tuple[Slot[Any], ...] = (TRANSPORT, LEDGER, DISCOVERY)


def draw(sources: Sources, catalogue: Catalogue, *, read: KeyReader = read_keys, local: bool = True) -> Blueprint:
    """Draw the blueprint that *sources* ask for, from what *catalogue* offers.

    *read* is asked for the keys in ``api_key_file``.  Unless *local*, no backend is chosen that loads a model here.

    Raises:
        FaultyConfig: with every fault there is, sorted by line.

    """
    return _Draft(sources, catalogue, read, local=local).finish()


def draw_worker(
    sources: Sources, catalogue: Catalogue, name: str, flags: Mapping[str, Any], *, read: KeyReader = read_keys
) -> Blueprint:
    """Draw what ``gateway worker NAME`` needs: the lender called *name*, and in a swarm what others hear of it by.

    The lender has the options that *flags*, the environment and files give it.  Transports, ledger and discoveries are
    chosen as for ``gateway run``, but only where there is a token.

    *flags* are keyed by option; the variable of an option is ``GATEWAY_WORKER_<OPTION>``, and the
    table ``[worker]`` counts if it chose the same part.

    Raises:
        FaultyConfig: with every fault there is in what a worker needs.

    """
    return _Draft(sources, catalogue, read).finish_worker(name, flags)


def draw_settings(sources: Sources, *, read: KeyReader = read_keys) -> tuple[Settings, Mapping[str, str]]:
    """Return the settings that *sources* ask for, and where each came from; what is said of parts is not looked at.

    Raises:
        FaultyConfig: with every fault there is in the settings.

    """
    draft = _Draft(sources, Catalogue({}), read)
    settings, origins = draft.settings()
    if draft.faults:
        raise FaultyConfig(draft.faults)
    return settings, origins


class _Draft:
    """A blueprint in the making: what was found wrong so far is in *faults*."""

    def __init__(self, sources: Sources, catalogue: Catalogue, read: KeyReader, *, local: bool = True) -> None:
        self.sources = sources
        self.catalogue = catalogue
        self.read = read
        self.local = local and not localai.is_door(sources)
        self.faults: list[Fault] = list(sources.faults)
        self.settings_given: dict[str, Given] = {}
        self.joins = False

    def finish(self) -> Blueprint:
        self._tables_are_known()
        settings, origins = self.settings()
        nodes = tuple(self._nodes(settings))
        choices: list[Choice] = []
        for slot in SLOTS:
            choices += self._fill(slot, elsewhere=settings.federated or nodes)
            choices += nodes if slot is BACKEND else ()
        peer = self._peer(settings, origins["peer_backend"]) if settings.federated else None
        shadow = self._shadow(settings.shadow, origins["shadow"]) if settings.shadow else None
        loader = self.catalogue.entries.get((BACKEND.name, _MODEL_PART)) if self.local else None
        if self.faults:
            raise FaultyConfig(self.faults)
        return Blueprint(
            settings, tuple(choices), MappingProxyType(origins), peer, shadow, loader.part if loader else None
        )

    def finish_worker(self, name: str, flags: Mapping[str, Any]) -> Blueprint:
        self._tables_are_known()
        settings, origins = self.settings()
        choices = [choice for slot in _WORKERS_SWARM for choice in self._fill(slot)] if settings.p2p else []
        lent = self._lend(name, Sources(flags=flags))
        if self.faults or lent is None:
            raise FaultyConfig(self.faults)
        return Blueprint(settings, (*choices, lent), MappingProxyType(origins))

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

    def settings(self) -> tuple[Settings, dict[str, str]]:
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
        given |= {name: said for name in fields if (said := self._named(name))}
        choose(self.sources, given, table=_SETTINGS)
        settings = decode(Settings, given, Place("configuration"), self.faults.append) or Settings()
        if settings.api_key_file is not None:
            try:
                keys = (*settings.api_keys, *self.read(settings.api_key_file))
                settings = msgspec.structs.replace(settings, api_keys=keys)
            except ConfigError as error:
                self._fault(given["api_key_file"].place, f"api_key_file {settings.api_key_file!r}: {error}")
        origins = {name: str(given[name].place) if name in given else DEFAULT for name in fields}
        try:
            settings, place = admit(settings, given, self.read)
        except TokenFault as error:
            self._fault(error.place, str(error))
            self.joins = True  # it would, and its parts are no faults besides
        else:
            self.joins = settings.p2p
            origins |= {"token": str(place), "p2p": str(place)} if place is not None else {}
        return settings, origins

    def _named(self, setting: str) -> Given | None:
        return self.sources.named(setting) or localai.said(self.sources, setting)

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
        """Yield the default choice; one that is there but broken is no reason to take the next quietly.

        In a swarm a slot that takes many parts gets all that are installed of those meant for it; without one that is
        broken, of which the log tells, the others still do.
        """
        if self.sources.faults:
            return  # a file that could not be read may well say what fills this slot
        names = (slot.swarm_defaults if self.joins else ()) or slot.defaults
        several = slot.many and names is not slot.defaults
        for name in names:
            if entry := self.catalogue.entries.get((slot.name, name)):
                place = Place(f"{slot.name} {name!r} (the default)", rank=len(self.sources.files))
                if choice := self._decode(entry, {}, place, origin=DEFAULT):
                    yield choice
                if not several:
                    return
            elif several:
                continue
            elif broken := self.catalogue.broken.get(f"{slot.name}/{name}") or self.catalogue.broken.get(name):
                self._fault(Place(f"{slot.name} {name!r} (the default)"), f"cannot be used: {broken}")
                return
        if slot.needed:
            names = ", ".join(slot.defaults)
            self._fault(Place(slot.name), f"none is chosen and no default is installed; install one of: {names}")

    def _decode(self, entry: Entry, given: dict[str, Given], place: Place, *, origin: str = "") -> Choice | None:
        part = entry.part
        if part.members_only and not self.joins:
            self._fault(place, f"{entry.slot.name} {part.name!r} is for members of a swarm: {MEMBERS_REMEDY}")
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
