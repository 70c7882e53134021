"""The blueprint: which parts fill which slots, with which options.  Pure; opens nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from swarmgate.config.settings import Settings
from swarmgate.parts import Options, Part, Slot

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
    origin: str = "default"
    distribution: str = ""
    origins: Mapping[str, str] = field(default_factory=lambda: _NOWHERE)


@dataclass(frozen=True, slots=True)
class Blueprint:
    """What to run: the core's settings and the choice for every slot, in the order of opening.

    *origins* says where each setting came from, by its name.
    """

    settings: Settings = field(default_factory=Settings)
    choices: tuple[Choice, ...] = ()
    origins: Mapping[str, str] = field(default_factory=lambda: _NOWHERE)

    def of(self, slot: Slot[Any]) -> tuple[Choice, ...]:
        """Return the choices for *slot*, in the order of the configuration."""
        return tuple(choice for choice in self.choices if choice.slot.name == slot.name)

    def opened_by(self, role: str) -> tuple[Choice, ...]:
        """Return what the command *role* (``run``, ``worker``) opens, in the order of opening."""
        return tuple(choice for choice in self.choices if choice.slot.role == role)
