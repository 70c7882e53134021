"""Opens the parts of a blueprint in order, keeps them at work, and closes them in reverse."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
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
from swarmgate.config.blueprint import Blueprint, Choice
from swarmgate.contracts import Backend, Balancer, Discovery, Ledger, Probe, Transport
from swarmgate.crew import Crew, Reach, by_scheme, muster
from swarmgate.dispatch import Dispatcher
from swarmgate.errors import ConfigError, EngineError, PluginError, SwarmgateError
from swarmgate.hedging import Budget
from swarmgate.identity import Identity, establish
from swarmgate.loading import Loading
from swarmgate.memory import free_memory
from swarmgate.nouns import GATEWAY, LLAMA_RPC, Endpoint, Health, Node, Service, Worker
from swarmgate.parts import (
    BACKEND,
    BALANCER,
    DISCOVERY,
    LEDGER,
    PROBE,
    SLOTS,
    SPLITTER,
    TRANSPORT,
    Part,
    PartContext,
    Slot,
)
from swarmgate.peers import Peers, peer_options
from swarmgate.racing import Races
from swarmgate.roster import Member, Placed
from swarmgate.shadow import Shadow

T = TypeVar("T")
_POLL_SECONDS = 0.05
#: How long a node may take for the one token it is asked for as a trial, in seconds.
_CANARY_PATIENCE = 20.0


@dataclass(slots=True, repr=False)
class Assembly:
    """The open parts of a running house."""

    blueprint: Blueprint
    node: Node
    identity: Identity
    crew: Crew | None = None
    shadow: Shadow | None = None
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
            probe = _by_service(self.all(PROBE)).get(LLAMA_RPC)
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
        things = self._open.setdefault(slot.name, {})
        if name in things:
            name = next(free for number in count(2) if (free := f"{name}-{number}") not in things)
        things[name] = thing
        if slot.name == BACKEND.name:
            backend = cast("Backend", thing)
            self._answering[name] = Attended(self.loading.add(name, backend)) if loads else backend
        return name

    def remove(self, slot: Slot[Any], name: str) -> None:
        """Let go of the part of *slot* called *name*, which was never to be loaded."""
        del self._open[slot.name][name]
        self._answering.pop(name, None)

    @property
    def loaded_names(self) -> frozenset[str]:
        """Return the backends whose models are loaded here, by name."""
        return frozenset(load.name for load in self.loading.loads)

    def members(self) -> tuple[Member, ...]:
        """Return every worker this gateway knows of, and which of its models has it."""
        holders = self.loading.holders()
        members = self.crew.members() if self.crew is not None else ()
        return tuple(replace(member, model=holders.get(member.offer.key, "")) for member in members)

    def placed(self) -> tuple[Placed, ...]:
        """Return where every model is, or why it is nowhere."""
        return self.loading.placed()

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
    state_dir = settings.state_path()
    node, identity = await anyio.to_thread.run_sync(establish, state_dir, settings.name)
    context = PartContext(node, state_dir)
    async with AsyncExitStack() as stack:
        assembly = Assembly(blueprint, node, identity)
        chosen = blueprint.opened_by("run")
        for slot in SLOTS:
            for choice in chosen:
                if choice.slot.name == slot.name:
                    thing = await open_part(choice, context, stack)
                    assembly.add(slot, choice.part.name, thing, loads=choice.part.loads)
        if blueprint.shadow is not None:
            assembly.shadow = Shadow(cast("Balancer", await open_part(blueprint.shadow, context, stack)))
        reach = by_scheme(_schemes(assembly.all(TRANSPORT)))
        tasks = await stack.enter_async_context(background())
        for name, discovery in assembly.all(DISCOVERY).items():
            tasks.start_soon(_discover, name, discovery, assembly.one(LEDGER))
        for _ in range(2):  # a discovery that knows its offers from the start posts them first
            await anyio.lowlevel.checkpoint()
        assembly.crew = await stack.enter_async_context(
            muster(
                assembly.one(LEDGER),
                LLAMA_RPC,
                reach,
                probe=_by_service(assembly.all(PROBE)).get(LLAMA_RPC),
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
                    assembly.loaded_names,
                    every=settings.canary_seconds,
                    seconds=_CANARY_PATIENCE,
                )
            )
        if blueprint.peer is not None:
            tasks.start_soon(_follow_peers, assembly, blueprint.peer, context, reach)
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


def _by_service(probes: Mapping[str, Probe]) -> dict[Service, Probe]:
    services: dict[Service, Probe] = {}
    for name, probe in probes.items():
        if probe.service in services:
            raise ConfigError(f"two probes look into the service {probe.service!r}, {name!r} is one; remove one")
        services[probe.service] = probe
    return services


async def _discover(name: str, discovery: Discovery, ledger: Ledger) -> None:
    try:
        await discovery.run(ledger)
    except SwarmgateError:
        raise
    except Exception as error:
        raise PluginError(f"discovery {name!r} failed: {type(error).__name__}: {error}") from error


async def _follow_crew(crew: Crew, loading: Loading) -> None:
    async for workers in crew:
        loading.tell(workers)


async def _follow_peers(assembly: Assembly, part: Part[Any, Backend], context: PartContext, reach: Reach) -> None:
    """Have *part* ask the gateways that the ledger offers."""
    settings = assembly.blueprint.settings

    @asynccontextmanager
    async def opened(worker: Worker) -> AsyncGenerator[Backend]:
        options = peer_options(part.options, f"http://{worker.endpoint}", settings.peer_api_key_file)
        async with AsyncExitStack() as stack:
            yield cast("Backend", await open_part(Choice(BACKEND, part, options), context, stack))

    peers = Peers(
        opened,
        lambda name, backend: assembly.add(BACKEND, name, backend, loads=False),
        lambda name: assembly.remove(BACKEND, name),
        me=assembly.node.id,
        linger_seconds=settings.queue_seconds,
    )
    async with muster(assembly.one(LEDGER), GATEWAY, reach) as crews:
        await peers.follow(crews)
