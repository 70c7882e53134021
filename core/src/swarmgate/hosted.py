"""One backend of this machine, open or closed, and what has to hear of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import anyio

from swarmgate.chat import ModelCard
from swarmgate.config.choices import Choice
from swarmgate.contracts import Backend
from swarmgate.loading import Load
from swarmgate.roster import ModelState
from swarmgate.unloaded import Unloaded


class House(Protocol):
    """What has to hear of backends that come and go."""

    def take_in(self, name: str, backend: Backend, *, loads: bool, again: bool) -> tuple[str, Load | None]:
        """Let *backend* answer, *again* under the *name* it had; return what it is called, and its load if it *loads*.

        A new one whose name is taken is called something like it.
        """
        ...

    def shelve(self, name: str, stand_in: Unloaded) -> None:
        """Send nothing new to the backend called *name*; *stand_in* knows its models from now on."""
        ...

    def let_go(self, name: str) -> None:
        """Forget the backend called *name*."""
        ...

    async def give_up(self, load: Load) -> None:
        """Load *load* no more, and return when its backend does nothing for it any longer."""
        ...

    def in_flight(self, name: str) -> int:
        """Return how many requests are under way at the backend called *name*."""
        ...


@dataclass(eq=False, slots=True)
class Hosted:
    """One backend of this machine: open, or closed and known by its *cards*.

    *leaving* is from the wish to unload it until it is closed.  *reason* says why it is closed, *failed* that it cannot
    be loaded.  *added* says that it was named at run time, and not by the configuration.
    """

    choice: Choice
    added: bool = False
    name: str = ""
    cards: tuple[ModelCard, ...] = ()
    backend: Backend | None = None
    load: Load | None = None
    leaving: bool = False
    reason: str = ""
    failed: bool = False
    fault: Exception | None = None
    opened: anyio.Event = field(default_factory=anyio.Event)
    leave: anyio.Event = field(default_factory=anyio.Event)
    hurry: anyio.Event = field(default_factory=anyio.Event)
    ended: anyio.Event = field(default_factory=anyio.Event)

    def serves(self, model: str) -> bool:
        """Return whether *model* is a name or alias of one of its models."""
        return any(model == card.name or model in card.aliases for card in self.cards)

    @property
    def state(self) -> ModelState:
        """Return how its models are."""
        if self.leaving:
            return "unloading"
        if self.load is not None:
            return self.load.state()
        if self.backend is not None:
            return "loaded"
        return "failed" if self.failed else "unloaded"

    def again(self) -> None:
        """Forget how it ended, to begin anew."""
        self.fault, self.failed, self.reason = None, False, ""
        self.opened, self.leave, self.hurry, self.ended = (anyio.Event() for _ in range(4))
