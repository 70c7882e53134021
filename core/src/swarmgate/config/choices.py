"""What was chosen: which parts fill which slots, with which options.  Words only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from swarmgate.config.settings import Settings
from swarmgate.contracts import Backend
from swarmgate.parts import Options, Part, Slot

#: Where a value comes from that nobody gave.
DEFAULT = "default"
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
    of ``settings.api_key_file`` too, ``settings.token`` the token of
    ``settings.token_file``.  *peer* is what asks the gateways of the ledger, None if nobody shall.
    *loader* is what loads GGUF files that are named while the gateway runs, None if no such part is installed.
    *shadow* is the balancer that ``settings.shadow`` names, with its options as they are by themselves.
    """

    settings: Settings = field(default_factory=Settings)
    choices: tuple[Choice, ...] = ()
    origins: Mapping[str, str] = field(default_factory=lambda: _NOWHERE)
    peer: Part[Any, Backend] | None = None
    shadow: Choice | None = None
    loader: Part[Any, Backend] | None = None

    def of(self, slot: Slot[Any]) -> tuple[Choice, ...]:
        """Return the choices for *slot*, in the order of the configuration."""
        return tuple(choice for choice in self.choices if choice.slot.name == slot.name)

    def opened_by(self, role: str) -> tuple[Choice, ...]:
        """Return what the command *role* (``run``, ``worker``) opens, in the order of opening."""
        return tuple(choice for choice in self.choices if choice.slot.role == role)
