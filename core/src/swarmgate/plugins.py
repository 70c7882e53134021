"""Finds the installed plugins and makes a catalogue of the parts they bring.

A plugin works whole or not at all: whatever is wrong with it, it is set aside with the reason and
with the name and version of the distribution at fault, and the others work.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from importlib.metadata import EntryPoint, entry_points
from inspect import isasyncgenfunction, iscoroutine, iscoroutinefunction, isfunction
from typing import TYPE_CHECKING, Any, cast

import pluggy

from swarmgate import hookspecs
from swarmgate.checks import Check
from swarmgate.errors import PluginError
from swarmgate.parts import SLOTS, Options, Part, Slot

if TYPE_CHECKING:
    import click

GROUP = "swarmgate.plugins"
_COMMANDS = "swarmgate_commands"
_CHECKS = "swarmgate_checks"
_HOOKS = (*(slot.hook for slot in SLOTS), _COMMANDS, _CHECKS)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_SYNCHRONOUS = "hooks are synchronous; put what must be awaited into the part's open"


@dataclass(frozen=True, slots=True)
class Entry:
    """A part and where it came from: *plugin* is the name of the entry point."""

    slot: Slot[Any]
    part: Part[Any, Any]
    plugin: str
    distribution: str
    version: str

    @property
    def origin(self) -> str:
        """Return the distribution and its version, such as ``acme-sticky 1.2.3``."""
        return f"{self.distribution} {self.version}".strip()


@dataclass(frozen=True, slots=True)
class Plugin:
    """An installed plugin that loaded."""

    name: str
    distribution: str
    version: str
    commands: Callable[[], object] | None = None
    checks: Callable[[], object] | None = None

    @property
    def origin(self) -> str:
        """Return the distribution and its version, such as ``acme-sticky 1.2.3``."""
        return f"{self.distribution} {self.version}".strip()


@dataclass(slots=True)
class Catalogue:
    """Every part that installed plugins bring, and everything that is wrong with plugins.

    *entries* is keyed by slot and part name.  *broken* is keyed by the plugin's name, or by
    ``slot/part`` where two plugins bring the same part and so none of them is used.
    """

    entries: dict[tuple[str, str], Entry] = field(default_factory=dict[tuple[str, str], Entry])
    broken: dict[str, PluginError] = field(default_factory=dict[str, PluginError])
    plugins: dict[str, Plugin] = field(default_factory=dict[str, Plugin])

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.entries.values())

    def names(self, slot: Slot[Any]) -> list[str]:
        """Return the names of the parts that can fill *slot*, sorted."""
        return sorted(name for where, name in self.entries if where == slot.name)

    def find(self, slot: Slot[Any], name: str) -> Entry:
        """Return the part of *slot* called *name*.

        Raises:
            PluginError: nobody brings it; the message says what comes close and what is broken.

        """
        if entry := self.entries.get((slot.name, name)):
            return entry
        if clash := self.broken.get(f"{slot.name}/{name}"):
            raise PluginError(str(clash))
        known = self.names(slot)
        message = f"no {slot.name} is called {name!r}"
        if close := get_close_matches(name, known, n=1):
            message += f"; did you mean {close[0]!r}?"
        else:
            message += f"; installed: {', '.join(known) or 'none'}"
        if self.broken:
            message += f" (broken: {', '.join(sorted(self.broken))}; see `gateway plugins list`)"
        raise PluginError(message)

    def commands(self) -> dict[str, tuple[click.Command, Plugin]]:
        """Ask the plugins for the commands they add; what goes wrong is added to :attr:`broken`.

        Two plugins that bring one command are both refused it.
        """
        found: dict[str, list[tuple[click.Command, Plugin]]] = {}
        for plugin in self.plugins.values():
            if plugin.commands is None:
                continue
            try:
                for command in _commands(plugin.commands):
                    found.setdefault(str(command.name), []).append((command, plugin))
            except (Exception, SystemExit) as error:  # noqa: BLE001 -- whatever a plugin raises is its own affair
                self.broken[plugin.name] = PluginError(f"{plugin.origin}: {_describe(error, _COMMANDS)}")
        for name, claims in found.items():
            if len(claims) > 1:
                self.broken[f"command/{name}"] = _clash(f"command {name!r}", (plugin.origin for _, plugin in claims))
        return {name: claims[0] for name, claims in sorted(found.items()) if len(claims) == 1}

    def checks(self) -> list[tuple[Check, Plugin]]:
        """Ask the plugins for what the doctor shall look into; what goes wrong is added to :attr:`broken`."""
        found: list[tuple[Check, Plugin]] = []
        for plugin in self.plugins.values():
            if plugin.checks is None:
                continue
            try:
                found += [(check, plugin) for check in _checks(plugin.checks)]
            except (Exception, SystemExit) as error:  # noqa: BLE001 -- whatever a plugin raises is its own affair
                self.broken[plugin.name] = PluginError(f"{plugin.origin}: {_describe(error, _CHECKS)}")
        return found


def load(points: Iterable[EntryPoint] | None = None) -> Catalogue:
    """Load every installed plugin (or those of *points*), one by one; a broken one stops nobody."""
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    catalogue = Catalogue()
    claims: dict[str, list[EntryPoint]] = {}
    for point in points if points is not None else entry_points(group=GROUP):
        claims.setdefault(point.name, []).append(point)
    brought: list[Entry] = []
    for name, claimants in sorted(claims.items()):
        origins = sorted(_origin(point) for point in claimants)
        if len(claimants) > 1:
            catalogue.broken[name] = PluginError(
                f"{' and '.join(map(_join, origins))}: all call themselves {name!r}, so none is used;"
                " uninstall all but one"
            )
            continue
        distribution, version = origins[0]
        try:
            hooks = _register(manager, name, claimants[0])
            entries = [
                Entry(slot, part, name, distribution, version)
                for slot in SLOTS
                if slot.hook in hooks
                for part in _parts(slot, hooks[slot.hook])
            ]
        except (Exception, SystemExit) as error:  # noqa: BLE001 -- whatever a plugin raises is its own affair
            if manager.has_plugin(name):
                manager.unregister(name=name)  # pluggy registers before it verifies
            catalogue.broken[name] = PluginError(f"{_join(origins[0])}: {_describe(error)}")
        else:
            catalogue.plugins[name] = Plugin(name, distribution, version, hooks.get(_COMMANDS), hooks.get(_CHECKS))
            brought += entries
    _enter(catalogue, brought)
    return catalogue


def _enter(catalogue: Catalogue, brought: Iterable[Entry]) -> None:
    """Enter each part that exactly one plugin brings; which of two would win must not depend on a path."""
    claims: dict[tuple[str, str], list[Entry]] = {}
    for entry in brought:
        claims.setdefault((entry.slot.name, entry.part.name), []).append(entry)
    for slot in SLOTS:
        for (where, name), entries in sorted(claims.items()):
            if where != slot.name:
                continue
            if len(entries) == 1:
                catalogue.entries[where, name] = entries[0]
            else:
                catalogue.broken[f"{where}/{name}"] = _clash(f"{where} {name!r}", (entry.origin for entry in entries))


def _clash(what: str, origins: Iterable[str]) -> PluginError:
    return PluginError(f"{' and '.join(sorted(origins))}: all bring the {what}, so none is used; uninstall all but one")


def _origin(point: EntryPoint) -> tuple[str, str]:
    """Return the distribution's name and version, or what the entry point says if it belongs to none."""
    if point.dist is None:
        return point.value, ""
    facts = point.dist.metadata  # asked for directly: `.version` raises or warns where the field is missing
    name = facts["Name"] if "Name" in facts else point.value  # noqa: SIM401 -- it promises no get
    return name, facts["Version"] if "Version" in facts else ""  # noqa: SIM401 -- likewise


def _join(origin: tuple[str, str]) -> str:
    return " ".join(filter(None, origin))


def _describe(error: BaseException, hook: str = "") -> str:
    text = " ".join(str(error).split())
    if not isinstance(error, _Fault | PluginError):
        text = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return f"{hook} failed: {text}" if hook else text


class _Fault(Exception):
    """What is wrong with a plugin, in words that need no type in front."""


def _register(manager: pluggy.PluginManager, name: str, point: EntryPoint) -> dict[str, Callable[[], object]]:
    """Import and register one plugin; return its hooks by name."""
    plugin: object = point.load()
    manager.register(plugin, name=name)
    hooks: dict[str, Callable[[], object]] = {}
    for caller in manager.get_hookcallers(plugin) or ():
        impls = [impl for impl in caller.get_hookimpls() if impl.plugin_name == name]
        if not caller.has_spec():
            if all(impl.optionalhook for impl in impls):
                continue
            close = get_close_matches(caller.name, _HOOKS, n=1)
            raise _Fault(f"unknown hook {caller.name!r}" + (f"; did you mean {close[0]!r}?" if close else ""))
        for impl in impls:
            if impl.hookwrapper or impl.wrapper:
                raise _Fault(f"{caller.name} is a hook wrapper; hooks bring things, they cannot be wrapped")
            if iscoroutinefunction(impl.function) or isasyncgenfunction(impl.function):
                raise _Fault(f"{caller.name} is asynchronous: {_SYNCHRONOUS}")
            hooks[caller.name] = cast("Callable[[], object]", impl.function)
    for hook in _HOOKS:
        if hook not in hooks and isfunction(getattr(plugin, hook, None)):
            raise _Fault(f"{hook} is not marked @hookimpl, so nobody would call it")
    if not hooks:
        raise _Fault(f"{point.value} brings nothing: no function in it is marked @hookimpl")
    return hooks


def _listed(hook: str, result: object, kind: str) -> Sequence[object]:
    if iscoroutine(result):
        result.close()
        raise _Fault(f"{hook} is asynchronous: {_SYNCHRONOUS}")
    if not isinstance(result, list | tuple):
        raise _Fault(f"{hook} must return a list of {kind}, not {type(result).__name__}")
    return cast("Sequence[object]", result)


def _commands(hook: Callable[[], object]) -> list[click.Command]:
    import click

    commands: list[click.Command] = []
    for command in _listed(_COMMANDS, hook(), "click commands"):
        if not isinstance(command, click.Command) or not command.name:
            raise _Fault(f"it must return named click commands, not {type(command).__name__}")
        commands.append(command)
    return commands


def _checks(hook: Callable[[], object]) -> list[Check]:
    checks: list[Check] = []
    for check in _listed(_CHECKS, hook(), "checks"):
        if not isinstance(check, Check):
            raise _Fault(f"it must return Checks, not {type(check).__name__}")
        checks.append(check)
    return checks


def _parts(slot: Slot[Any], hook: Callable[[], object]) -> list[Part[Any, Any]]:
    """Call *hook* and check everything about its parts that can be checked without opening them."""
    try:
        result = hook()
    except (Exception, SystemExit) as error:
        raise _Fault(_describe(error, slot.hook)) from error
    parts: dict[str, Part[Any, Any]] = {}
    for part in _listed(slot.hook, result, "parts"):
        if not isinstance(part, Part):
            raise _Fault(f"{slot.hook} must return parts, not {type(part).__name__}")
        part = cast("Part[Any, Any]", part)
        reason = _flaw(part)
        if part.name in parts:
            reason = "it is brought twice"
        if reason:
            raise _Fault(f"{slot.hook}: part {part.name!r} cannot be used: {reason}")
        parts[part.name] = part
    return list(parts.values())


def _flaw(part: Part[Any, Any]) -> str | None:
    """Return what is wrong with *part*, if anything is."""
    name, kind = cast("object", part.name), cast("object", part.options)
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        return "its name must be made of letters, digits, '_', '-' and '.'"
    if not isinstance(kind, type) or not issubclass(kind, Options):
        return f"its options must be a class derived from Options, not {kind!r}"
    if not callable(part.open):
        return f"its open must be callable, not {type(part.open).__name__}"
    known = kind.__struct_encode_fields__
    if "use" in known:
        return "it has an option called 'use', the word that names the part"
    for variable, option in part.environ.items():
        if option not in known:
            return f"the variable {variable} stands for {option!r}, which is none of its options"
    return None
