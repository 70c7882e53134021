"""Opens the parts of a blueprint in order, keeps them at work, and closes them in reverse."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any, TypeVar, cast

import anyio

from swarmgate.admission import Admission
from swarmgate.background import background
from swarmgate.builtin import Whole
from swarmgate.config.blueprint import Blueprint, Choice
from swarmgate.contracts import Backend, Balancer, Discovery, Ledger, Transport
from swarmgate.crew import Reach, by_scheme, muster
from swarmgate.dispatch import Dispatcher
from swarmgate.errors import ConfigError, EngineError, PluginError, SwarmgateError
from swarmgate.identity import Identity, establish
from swarmgate.loading import Loader
from swarmgate.memory import free_memory
from swarmgate.nouns import LLAMA_RPC, Health, Node
from swarmgate.parts import BACKEND, BALANCER, DISCOVERY, LEDGER, SLOTS, SPLITTER, TRANSPORT, PartContext, Slot
from swarmgate.shadow import Shadow

T = TypeVar("T")
_POLL_SECONDS = 0.05


@dataclass(slots=True, repr=False)
class Assembly:
    """The open parts of a running house."""

    blueprint: Blueprint
    node: Node
    identity: Identity
    loaders: list[Loader] = field(default_factory=list[Loader])
    shadow: Shadow | None = None
    _open: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    _dispatcher: Dispatcher | None = None

    def __repr__(self) -> str:
        return f"<Assembly of {self.node.name}: {', '.join(name for things in self._open.values() for name in things)}>"

    def all(self, slot: Slot[T]) -> Mapping[str, T]:
        """Return the open parts of *slot*, by name; of two equal names the second is ``name-2``."""
        return cast("Mapping[str, T]", self._open.get(slot.name, {}))

    def one(self, slot: Slot[T]) -> T:
        """Return the open part of *slot*.

        Raises:
            ConfigError: nothing fills the slot.

        """
        for thing in self.all(slot).values():
            return thing
        raise ConfigError(f'nothing fills the slot {slot.name}; add a [{slot.name}] table with use = "..."')

    @property
    def dispatcher(self) -> Dispatcher:
        """Return what sends requests to the backends."""
        if self._dispatcher is None:
            settings = self.blueprint.settings
            admission = Admission(queue_limit=settings.queue_limit, queue_seconds=settings.queue_seconds)
            self._dispatcher = Dispatcher(lambda: self.all(BACKEND), self.one(BALANCER), admission, shadow=self.shadow)
        return self._dispatcher

    def add(self, slot: Slot[T], name: str, thing: T) -> None:
        """Take *thing* in as the next of *slot*; a backend gets its loader."""
        things = self._open.setdefault(slot.name, {})
        if name in things:
            name = next(free for number in count(2) if (free := f"{name}-{number}") not in things)
        things[name] = thing
        if slot.name == BACKEND.name:
            splitter = next(iter(self.all(SPLITTER).values()), None) or Whole()
            self.loaders.append(Loader(name, cast("Backend", thing), splitter, free_memory))

    async def wait_ready(self, tell: Callable[[str, Health], None] = lambda _name, _health: None) -> None:
        """Wait until every backend is ready or has failed for good.

        *tell* hears of each backend's health at first and whenever it has changed.

        Raises:
            EngineError: all of them failed; the message says why.

        """
        heard: dict[str, Health] = {}
        while True:
            state = {loader.name: self._health(loader) for loader in self.loaders}
            for name, health in state.items():
                if heard.get(name) != health:
                    heard[name] = health
                    tell(name, health)
            if all(health.ready or health.permanent for health in state.values()):
                break
            await anyio.sleep(_POLL_SECONDS)
        if not any(health.ready for health in state.values()):
            raise EngineError("; ".join(health.reason for health in state.values()) or "there is no backend")

    def _health(self, loader: Loader) -> Health:
        health = self.all(BACKEND)[loader.name].health()
        if health.ready or health.permanent:
            return health
        if loader.failed is not None:
            return Health(ready=False, reason=loader.failed, permanent=True)
        return Health(ready=False, reason=loader.waiting) if loader.waiting is not None else health


@asynccontextmanager
async def assemble(blueprint: Blueprint) -> AsyncGenerator[Assembly]:
    """Open what ``gateway run`` needs, in the order of the slots, and close it in reverse.

    Discoveries run meanwhile, and models load: see :meth:`Assembly.wait_ready`.  A part that
    fails later on, beyond what it can mend itself, ends the house.

    Raises:
        ConfigError: the state folder cannot be used, or two transports understand one scheme.
        PluginError: a part could not be opened, or is not what its slot asks.

    """
    settings = blueprint.settings
    state_dir = settings.state_path()
    node, identity = await anyio.to_thread.run_sync(establish, state_dir, settings.name)
    assembly = Assembly(blueprint, node, identity)
    context = PartContext(node, state_dir)
    async with AsyncExitStack() as stack:
        chosen = blueprint.opened_by("run")
        for slot in SLOTS:
            for choice in chosen:
                if choice.slot.name == slot.name:
                    assembly.add(slot, choice.part.name, await open_part(choice, context, stack))
        if blueprint.shadow is not None:
            assembly.shadow = Shadow(cast("Balancer", await open_part(blueprint.shadow, context, stack)))
        reach = by_scheme(_schemes(assembly.all(TRANSPORT)))
        tasks = await stack.enter_async_context(background())
        for name, discovery in assembly.all(DISCOVERY).items():
            tasks.start_soon(_discover, name, discovery, assembly.one(LEDGER))
        for loader in assembly.loaders:
            tasks.start_soon(loader.run)
        tasks.start_soon(_follow_crew, assembly.one(LEDGER), reach, assembly.loaders)
        yield assembly


async def open_part(choice: Choice, context: PartContext, stack: AsyncExitStack) -> object:
    """Open what *choice* says, for as long as *stack* is.

    Raises:
        PluginError: it could not be opened, or is not what its slot asks.

    """
    slot, part = choice.slot, choice.part
    try:
        thing = await stack.enter_async_context(part.open(choice.options, context))
    except SwarmgateError:
        raise
    except Exception as error:
        raise PluginError(f"{slot.name} {part.name!r} could not be opened: {type(error).__name__}: {error}") from error
    if not isinstance(thing, slot.contract):
        lacks = ", ".join(name for name in vars(slot.contract) if name[0] != "_" and not hasattr(thing, name))
        raise PluginError(
            f"{slot.name} {part.name!r} opened a {type(thing).__name__},"
            f" which lacks what {slot.contract.__name__} asks: {lacks}"
        )
    return thing


def _schemes(transports: Mapping[str, Transport]) -> dict[str, Transport]:
    schemes: dict[str, Transport] = {}
    for name, transport in transports.items():
        if transport.scheme in schemes:
            raise ConfigError(f"two transports understand {transport.scheme}:// addresses, {name!r} is one; remove one")
        schemes[transport.scheme] = transport
    return schemes


async def _discover(name: str, discovery: Discovery, ledger: Ledger) -> None:
    try:
        await discovery.run(ledger)
    except SwarmgateError:
        raise
    except Exception as error:
        raise PluginError(f"discovery {name!r} failed: {type(error).__name__}: {error}") from error


async def _follow_crew(ledger: Ledger, reach: Reach, loaders: Sequence[Loader]) -> None:
    for _ in range(2):  # a discovery that knows its offers from the start posts them first
        await anyio.lowlevel.checkpoint()
    async with muster(ledger, LLAMA_RPC, reach) as crews:
        async for crew in crews:
            for loader in loaders:
                loader.tell(crew)
