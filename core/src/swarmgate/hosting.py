"""Opens the backends of this machine, and closes and opens them again while the house runs.

To unload a model is to close the part that has it, and to load it is to open that part again
(docs/decisions/0033): so every backend can be unloaded, for every one can be closed.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import cast

import anyio
import structlog
from anyio.abc import TaskGroup
from msgspec.structs import replace

from swarmgate.background import background
from swarmgate.chat import ModelCard
from swarmgate.config.choices import Choice
from swarmgate.contracts import Backend
from swarmgate.errors import Conflict, LoadFailed, SwarmgateError, Unavailable, UnknownModel
from swarmgate.hosted import Hosted, House
from swarmgate.opening import open_part
from swarmgate.parts import PartContext
from swarmgate.roster import Placed
from swarmgate.split import Placement
from swarmgate.unloaded import Unloaded

_POLL_SECONDS = 0.05


class Hosting:
    """Holds backends open for *house*, each in a task of its own, so that each can be closed by itself."""

    def __init__(self, house: House, context: PartContext, tasks: TaskGroup) -> None:
        self.hosted: list[Hosted] = []
        #: Called after models came or went: our own offer may have to follow.
        self.changed: Callable[[], Awaitable[None]] = _nothing_follows
        self._house, self._context, self._tasks = house, context, tasks
        self._opening = anyio.Lock()
        self._log = structlog.get_logger("swarmgate.hosting")

    def __repr__(self) -> str:
        return f"<Hosting {', '.join(f'{hosted.name} ({hosted.state})' for hosted in self.hosted)}>"

    async def open(self, choice: Choice) -> None:
        """Open what *choice* says, for as long as the house stands; its model is loaded when its turn comes.

        Raises:
            PluginError: it could not be opened, or is no backend.
            SwarmgateError: what its opener raises.

        """
        await self._open(Hosted(choice))

    async def load(self, model: str, *, wait: bool = True) -> Hosted:
        """Load *model*, which is known here by name or alias, and return when it is loaded, or if not *wait* at once.

        Raises:
            UnknownModel: no backend of this machine has it.
            Conflict: it is being unloaded just now, or was while it was loaded.
            LoadFailed: it cannot be loaded; it stays known, and may be tried again.
            Unavailable: it cannot be loaded now, and will be once it can; the message says what is missing.

        """
        hosted = self._called(model)
        async with self._opening:
            await self._reopen(hosted)
        await self._follow(hosted, wait=wait)
        return hosted

    async def add(self, choice: Choice, *, wait: bool = True) -> Hosted:
        """Take in the backend of *choice*, named at run time, and load it.  Raises like :meth:`load`."""
        async with self._opening:
            hosted = next((each for each in self.hosted if each.added and each.choice.options == choice.options), None)
            if hosted is None:
                hosted = Hosted(choice, added=True)
                try:
                    await self._open(hosted)
                except SwarmgateError as error:
                    raise error if isinstance(error, Conflict) else LoadFailed(str(error)) from error
                self._tasks.start_soon(self._see_through, hosted)
            else:
                await self._reopen(hosted)
        await self._follow(hosted, wait=wait)
        return hosted

    async def unload(
        self, model: str, *, force: bool = False, wait: bool = True, forget: bool = False
    ) -> tuple[Hosted, ...]:
        """Unload *model* once its answers under way are written, or with *force* at once; return whom that meant.

        From now on nothing new is sent there.  Answers that are interrupted are carried on by whoever else can.  To
        *forget* it is to take it off the list too, which only what was named at run time can be.

        Raises:
            UnknownModel: no backend of this machine has it.
            Conflict: it cannot be forgotten.

        """
        self._called(model)
        meant = tuple(hosted for hosted in self.hosted if hosted.serves(model) and hosted.choice.part.loads)
        if forget and not all(hosted.added for hosted in meant):
            raise Conflict(f"{model!r} is in the configuration, and stays known until it is taken out there")
        for hosted in meant:
            if hosted.backend is not None and not hosted.leaving:
                hosted.leaving = True
                self._house.shelve(hosted.name, Unloaded(hosted.cards, _remedy(hosted.cards, "is being unloaded")))
                self._tasks.start_soon(self._leave, hosted)
            if force:
                hosted.hurry.set()
        if wait or forget:
            for hosted in meant:
                await hosted.ended.wait()
        if forget:
            for hosted in meant:
                self._forget(hosted)
        return meant

    def placed(self, placement: Placement, loaded: Iterable[Placed]) -> tuple[Placed, ...]:
        """Return where all models are: the *loaded* ones of the house, and those that are closed."""
        leaving = {hosted.name for hosted in self.hosted if hosted.leaving}
        there = [replace(each, state="unloading") if each.backend in leaving else each for each in loaded]
        known = {each.backend for each in there}
        closed = [
            Placed(
                backend=hosted.name,
                model=card.name,
                placement=card.placement or placement,
                waiting=hosted.reason,
                state=hosted.state,
            )
            for hosted in self.hosted
            if hosted.choice.part.loads and hosted.name not in known
            for card in hosted.cards
        ]
        return (*there, *closed)

    async def close(self) -> None:
        """Close all in reverse."""
        for hosted in reversed(self.hosted):
            hosted.leave.set()
            await hosted.ended.wait()

    def _called(self, model: str) -> Hosted:
        """Return who has *model*: of several the first that is not loaded."""
        meant = [hosted for hosted in self.hosted if hosted.serves(model) and hosted.choice.part.loads]
        if not meant:
            known = sorted({card.name for each in self.hosted if each.choice.part.loads for card in each.cards})
            raise UnknownModel(
                f"no model of this machine is called {model!r}; there are: {', '.join(known) or 'none'}", param="model"
            )
        return next((hosted for hosted in meant if hosted.state != "loaded"), meant[0])

    async def _reopen(self, hosted: Hosted) -> None:
        """Open *hosted* if it is closed, and anew if it has failed."""
        if hosted.leaving:
            raise Conflict(
                f"{_names(hosted.cards)} is being unloaded; load it when that is done, or unload it by force"
            )
        if hosted.load is not None and hosted.state == "failed":
            await self._close(hosted)
        if hosted.backend is not None:
            return
        hosted.again()
        try:
            await self._open(hosted)
        except SwarmgateError as error:
            self._shelve(hosted, str(error), failed=True)
            raise LoadFailed(str(error)) from error
        self._tasks.start_soon(self._see_through, hosted)

    async def _open(self, hosted: Hosted) -> None:
        self._tasks.start_soon(self._hold, hosted)
        await hosted.opened.wait()
        if hosted.fault is not None:
            raise hosted.fault

    async def _hold(self, hosted: Hosted) -> None:
        """Hold *hosted* open until it is to leave; one that falls by itself ends the house."""
        part, entered = hosted.choice.part, False
        try:
            async with AsyncExitStack() as stack:
                backend = cast("Backend", await open_part(hosted.choice, self._context, stack))
                self._check_names(hosted, backend)
                again = hosted in self.hosted
                hosted.backend, hosted.cards, entered = backend, backend.models(), True
                hosted.name, hosted.load = self._house.take_in(
                    hosted.name or part.name, backend, loads=part.loads, again=again
                )
                if not again:
                    self.hosted.append(hosted)
                hosted.opened.set()
                try:
                    await hosted.leave.wait()
                finally:
                    hosted.cards = backend.models() or hosted.cards
                    hosted.backend = hosted.load = None
        except Exception as error:
            if entered:
                raise
            hosted.fault = error
        finally:
            hosted.leaving = False
            hosted.opened.set()
            hosted.ended.set()

    def _check_names(self, hosted: Hosted, backend: Backend) -> None:
        """Refuse what was named at run time if its name is another model's: they would pass for one."""
        if not hosted.added:
            return
        for card in backend.models():
            other = next((each for each in self.hosted if each is not hosted and each.serves(card.name)), None)
            if other is not None:
                raise Conflict(
                    f"another model of this machine is called {card.name!r} already; load it by another name"
                )

    async def _follow(self, hosted: Hosted, *, wait: bool) -> None:
        await self.changed()
        while wait:
            if hosted.load is None:
                raise LoadFailed(hosted.reason) if hosted.failed else Conflict("it was unloaded while it was loaded")
            state = hosted.load.state()
            if state == "loaded":
                return
            if state == "waiting":
                raise Unavailable(f"{_names(hosted.cards)} is not loaded yet: {hosted.load.waiting}")
            await anyio.sleep(_POLL_SECONDS)

    async def _see_through(self, hosted: Hosted) -> None:
        """Close *hosted* if its model turns out to be one that cannot be loaded: nothing shall be kept for it."""
        while (load := hosted.load) is not None and not hosted.leaving:
            health = load.health()
            if health.ready:
                return
            if health.permanent:
                async with self._opening:
                    if hosted.load is load and not hosted.leaving:
                        await self._close(hosted, health.reason, failed=True)
                return
            await anyio.sleep(_POLL_SECONDS)

    async def _leave(self, hosted: Hosted) -> None:
        """Close *hosted* when nobody waits for an answer of it any more, or somebody is in a hurry."""
        began = anyio.current_time()
        while not hosted.hurry.is_set() and self._house.in_flight(hosted.name):
            with anyio.move_on_after(_POLL_SECONDS):
                await hosted.hurry.wait()
        await self._close(hosted)
        self._log.info("hosting.unloaded", part=hosted.name, seconds=round(anyio.current_time() - began, 2))
        await self.changed()

    async def _close(self, hosted: Hosted, reason: str = "", *, failed: bool = False) -> None:
        self._shelve(hosted, reason, failed=failed)
        if hosted.load is not None:
            await self._house.give_up(hosted.load)
        hosted.leave.set()
        await hosted.ended.wait()

    def _shelve(self, hosted: Hosted, reason: str, *, failed: bool) -> None:
        """Have requests told why *hosted* does not answer."""
        hosted.failed = failed
        hosted.reason = reason if failed else _remedy(hosted.cards, "is unloaded")
        told = f"could not be loaded: {reason}" if failed else hosted.reason
        self._house.shelve(hosted.name, Unloaded(hosted.cards, told))
        if failed:
            self._log.error("hosting.failed", part=hosted.name, reason=reason)

    def _forget(self, hosted: Hosted) -> None:
        if hosted.backend is None and hosted in self.hosted:
            self.hosted.remove(hosted)
            self._house.let_go(hosted.name)


@asynccontextmanager
async def hosting(house: House, context: PartContext) -> AsyncGenerator[Hosting]:
    """Yield what opens backends for *house*; they are closed in reverse when the block is left."""
    async with background() as tasks:
        made = Hosting(house, context, tasks)
        try:
            yield made
        finally:
            with anyio.CancelScope(shield=True):  # each is closed by its own task, which hears of a cancel itself
                await made.close()


async def _nothing_follows() -> None:
    """Do nothing."""


def _names(cards: Iterable[ModelCard]) -> str:
    return ", ".join(repr(card.name) for card in cards) or "it"


def _remedy(cards: tuple[ModelCard, ...], how: str) -> str:
    return f"{how}; `gateway models load {cards[0].name}` loads it" if cards else how
