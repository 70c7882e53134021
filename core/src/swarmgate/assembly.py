"""Opens the parts of a blueprint in order, keeps them at work, and closes them in reverse."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Container, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from typing import Any, TypeVar, cast

import anyio
from msgspec.structs import replace

from swarmgate.admission import Admission
from swarmgate.attended import Attended
from swarmgate.background import background
from swarmgate.breaker import Breakers, Tripping
from swarmgate.builtin import Whole
from swarmgate.canary import keep_trying
from swarmgate.config.choices import Blueprint
from swarmgate.contracts import Backend, Balancer, Transport
from swarmgate.crew import Crew, muster
from swarmgate.dispatch import Dispatcher
from swarmgate.errors import ConfigError, EngineError
from swarmgate.federating import follow_gateways
from swarmgate.findings import Findings, Signed
from swarmgate.hedging import Budget
from swarmgate.hosting import Hosting, hosting
from swarmgate.identity import Identity
from swarmgate.joining import settle
from swarmgate.knocking import Knocking
from swarmgate.loading import Load, Loading
from swarmgate.memory import free_memory
from swarmgate.nouns import GATEWAY, LLAMA_RPC, Endpoint, Health, Node
from swarmgate.opening import discover, open_part, schemes, services
from swarmgate.parts import (
    BACKEND,
    BALANCER,
    DISCOVERY,
    LEDGER,
    PROBE,
    SLOTS,
    SPLITTER,
    TRANSPORT,
    PartContext,
    Slot,
)
from swarmgate.racing import Races
from swarmgate.reaching import by_scheme, noting_tunnels
from swarmgate.roster import Member, Placed
from swarmgate.rota import Rota
from swarmgate.shadow import Shadow
from swarmgate.unloaded import Unloaded

T = TypeVar("T")
_POLL_SECONDS = 0.05
#: The ledger of which nobody else has a copy: by itself it finds nobody.
_LOCAL_LEDGER = "memory"
#: How long a node may take for the one token it is asked for as a trial, in seconds.
_CANARY_PATIENCE = 20.0


@dataclass(slots=True, repr=False)
class Assembly:
    """The open parts of a running house."""

    blueprint: Blueprint
    node: Node
    identity: Identity
    findings: Findings = field(default_factory=Findings)
    crew: Crew | None = None
    gateways: Crew | None = None
    shadow: Shadow | None = None
    hosting: Hosting | None = None
    _open: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    _answering: dict[str, Backend] = field(default_factory=dict[str, Backend])
    _dispatcher: Dispatcher | None = None
    _loading: Loading | None = None

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
    def transports(self) -> dict[str, Transport]:
        """Return the open transports by their schemes.

        Raises:
            ConfigError: two understand the same addresses.

        """
        return schemes(self.all(TRANSPORT))

    @property
    def dispatcher(self) -> Dispatcher:
        """Return what sends requests to the backends."""
        if self._dispatcher is None:
            settings = self.blueprint.settings
            admission = Admission(queue_limit=settings.queue_limit, queue_seconds=settings.queue_seconds)
            self._dispatcher = Dispatcher(
                lambda: self._answering,
                self.one(BALANCER),
                admission,
                shadow=self.shadow,
                resume_seconds=settings.resume_seconds,
                breakers=Breakers(Tripping(failures=settings.breaker_failures)),
                races=Races(seconds=settings.hedge_seconds, budget=Budget(settings.hedge_share)),
            )
        return self._dispatcher

    @property
    def loading(self) -> Loading:
        """Return what loads the backends' models."""
        if self._loading is None:  # with the first backend: splitter and probes are open by then
            settings = self.blueprint.settings
            splitter = next(iter(self.all(SPLITTER).values()), None) or Whole()
            probe = services(self.all(PROBE)).get(LLAMA_RPC)
            here = free_memory if probe is None else probe.here
            self._loading = Loading(
                splitter,
                here,
                limit=None if settings.memory_mb is None else settings.memory_mb << 20,
                placement=settings.placement,
                on_change=settings.on_change,
            )
        return self._loading

    def add(self, slot: Slot[T], name: str, thing: T, *, loads: bool = True) -> str:
        """Take *thing* in as the next of *slot* and return its name there; a backend that *loads* is loaded, too."""
        if slot.name == BACKEND.name:
            return self.take_in(name, cast("Backend", thing), loads=loads, again=False)[0]
        things = self._open.setdefault(slot.name, {})
        name = _free(name, things)
        things[name] = thing
        return name

    def take_in(self, name: str, backend: Backend, *, loads: bool, again: bool) -> tuple[str, Load | None]:
        """Let *backend* answer, *again* under the *name* it had, and have it loaded if it *loads*; return its name."""
        name = name if again else _free(name, self._answering)
        self._open.setdefault(BACKEND.name, {})[name] = backend
        load = self.loading.add(name, backend) if loads else None
        self._answering[name] = backend if load is None else Attended(load)
        return name, load

    def shelve(self, name: str, stand_in: Unloaded) -> None:
        """Send nothing new to the backend called *name*; *stand_in* knows its models from now on."""
        self._open[BACKEND.name].pop(name, None)
        self._answering[name] = stand_in

    def let_go(self, name: str) -> None:
        """Forget the backend called *name*, which is closed."""
        self._answering.pop(name, None)

    async def give_up(self, load: Load) -> None:
        """Load *load* no more, and return when its backend does nothing for it any longer."""
        await self.loading.remove(load)

    def in_flight(self, name: str) -> int:
        """Return how many requests are under way at the backend called *name*."""
        return self.dispatcher.in_flight(name)

    def remove(self, slot: Slot[Any], name: str) -> None:
        """Let go of the part of *slot* called *name*, which was never to be loaded."""
        del self._open[slot.name][name]
        self._answering.pop(name, None)

    @property
    def loaded_names(self) -> frozenset[str]:
        """Return the backends whose models are loaded here now, by name."""
        return frozenset(load.name for load in self.loading.loads)

    def members(self) -> tuple[Member, ...]:
        """Return every worker this gateway knows or knew of, how it was found, and which of its models has it."""
        holders = self.loading.holders()
        return tuple(replace(member, model=holders.get(member.offer.key, "")) for member in self._seen(self.crew))

    def peers(self) -> tuple[Member, ...]:
        """Return every other gateway that is offered or was lately, and how it was found."""
        return self._seen(self.gateways)

    def _seen(self, crew: Crew | None) -> tuple[Member, ...]:
        """Return the members of *crew*; one that no discovery posted here came by the ledger itself."""
        ledger = tuple(name for name in self.all(LEDGER) if name != _LOCAL_LEDGER)
        members = (*crew.members(), *crew.departed()) if crew is not None else ()
        return tuple(replace(member, found=self.findings.of(member.offer) or ledger) for member in members)

    def placed(self) -> tuple[Placed, ...]:
        """Return where every model is, or why it is nowhere."""
        loaded = self.loading.placed()
        return loaded if self.hosting is None else self.hosting.placed(self.blueprint.settings.placement, loaded)

    async def wait_ready(self, tell: Callable[[str, Health], None] = lambda _name, _health: None) -> None:
        """Wait until every backend that loads something is ready or has failed for good.

        *tell* hears of each backend's health at first and whenever it has changed.

        Raises:
            EngineError: all of them failed, and nobody else answers; the message says why.

        """
        heard: dict[str, Health] = {}
        while True:
            state = {load.name: load.health() for load in self.loading.loads}
            for name, health in state.items():
                if heard.get(name) != health:
                    heard[name] = health
                    tell(name, health)
            if all(health.ready or health.permanent for health in state.values()):
                break
            await anyio.sleep(_POLL_SECONDS)
        elsewhere = self.blueprint.peer is not None or len(self.all(BACKEND)) > len(state)
        if state and not elsewhere and not any(health.ready for health in state.values()):
            raise EngineError("; ".join(health.reason for health in state.values()))


@asynccontextmanager
async def assemble(
    blueprint: Blueprint, *, is_own: Callable[[Endpoint], bool] = lambda _: False
) -> AsyncGenerator[Assembly]:
    """Open what ``gateway run`` needs, in the order of the slots, and close it in reverse.

    Discoveries run meanwhile, and models load: see :meth:`Assembly.wait_ready`.  A part that
    fails later on, beyond what it can mend itself, ends the house.  *is_own* says which endpoints are this very
    gateway's, and nobody to turn to.

    Raises:
        ConfigError: the state folder cannot be used, or two parts want to be the one of a scheme or service.
        PluginError: a part could not be opened, or is not what its slot asks.

    """
    settings = blueprint.settings
    node, identity = await anyio.to_thread.run_sync(partial(settle, settings, makes_token=True))
    context = PartContext(node, identity.folder, identity.membership, settings.models_path())
    async with AsyncExitStack() as stack:
        assembly = Assembly(blueprint, node, identity)
        await _open_parts(assembly, context, stack)
        if blueprint.shadow is not None:
            assembly.shadow = Shadow(cast("Balancer", await open_part(blueprint.shadow, context, stack)))
        reach = by_scheme(assembly.transports)
        tasks = await stack.enter_async_context(background())
        for name, discovery in assembly.all(DISCOVERY).items():
            tasks.start_soon(discover, name, discovery, Signed(assembly.one(LEDGER), assembly.findings, name))
        for _ in range(2):  # a discovery that knows its offers from the start posts them first
            await anyio.lowlevel.checkpoint()
        assembly.crew = await stack.enter_async_context(
            muster(
                assembly.one(LEDGER),
                LLAMA_RPC,
                reach,
                probe=services(assembly.all(PROBE)).get(LLAMA_RPC),
                is_own=is_own,
                settle_seconds=settings.settle_seconds,
            )
        )
        tasks.start_soon(assembly.loading.run)
        tasks.start_soon(_follow_crew, assembly.crew, assembly.loading)
        tasks.start_soon(assembly.dispatcher.races.hedge)
        if settings.canary_seconds:
            tasks.start_soon(
                partial(
                    keep_trying,
                    assembly.dispatcher,
                    lambda: assembly.loaded_names,
                    every=settings.canary_seconds,
                    seconds=_CANARY_PATIENCE,
                )
            )
        if blueprint.peer is not None:
            tunnels: set[Endpoint] = set()
            looking = services(assembly.all(PROBE)).get(GATEWAY) or Knocking(tunnels=tunnels)
            assembly.gateways = await stack.enter_async_context(
                muster(
                    assembly.one(LEDGER),
                    GATEWAY,
                    noting_tunnels(reach, tunnels),
                    probe=looking,
                    is_own=is_own,
                    me=node.id,
                    rota=Rota(node.id, settings.held_gateways),
                )
            )
            tasks.start_soon(
                partial(
                    follow_gateways,
                    assembly.gateways,
                    blueprint.peer,
                    context,
                    settings,
                    enter=lambda name, backend: assembly.add(BACKEND, name, backend, loads=False),
                    leave=lambda name: assembly.remove(BACKEND, name),
                )
            )
        yield assembly


def _free(name: str, taken: Container[str]) -> str:
    """Return *name*, or if it is *taken* one like it."""
    if name not in taken:
        return name
    return next(free for number in count(2) if (free := f"{name}-{number}") not in taken)


async def _open_parts(assembly: Assembly, context: PartContext, stack: AsyncExitStack) -> None:
    """Open what the blueprint of *assembly* chooses, slot by slot, for as long as *stack* is."""
    chosen = assembly.blueprint.opened_by("run")
    for slot in SLOTS:
        choices = [choice for choice in chosen if choice.slot.name == slot.name]
        if slot is BACKEND:
            assembly.hosting = await stack.enter_async_context(hosting(assembly, context))
            for choice in choices:
                await assembly.hosting.open(choice)
            continue
        for choice in choices:
            assembly.add(slot, choice.part.name, await open_part(choice, context, stack))


async def _follow_crew(crew: Crew, loading: Loading) -> None:
    async for workers in crew:
        loading.tell(workers)
