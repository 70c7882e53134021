"""What ``gateway run`` would do with the models, found out without doing it: ``gateway plan``."""

from __future__ import annotations

from collections.abc import AsyncIterator, Generator, Sequence
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import anyio
from anyio.abc import TaskGroup
from msgspec.structs import replace

from swarmgate.assembly import open_part
from swarmgate.background import background
from swarmgate.builtin import Whole
from swarmgate.chat import ModelCard
from swarmgate.config.blueprint import Blueprint
from swarmgate.config.settings import Settings
from swarmgate.contracts import Backend, Discovery, Ledger, Probe, Splitter, Transport
from swarmgate.crew import Reach, by_scheme
from swarmgate.errors import Unavailable, Unreachable
from swarmgate.identity import establish
from swarmgate.memory import free_memory
from swarmgate.nouns import LLAMA_RPC, Node, NodeId, Offer, Word, Worker
from swarmgate.parts import BACKEND, DISCOVERY, LEDGER, PROBE, SPLITTER, TRANSPORT, PartContext, Slot
from swarmgate.roster import Member
from swarmgate.split import SplitPlan

#: How long workers get to say what they have, in seconds.
PATIENCE_SECONDS = 6.0
#: How long it has to be quiet at least: a discovery that knows its offers from the start gets to say so.
_QUIET_SECONDS = 0.2


class Hypothesis(Word, frozen=True):
    """What is to be taken for granted: this machine's memory in bytes (None: measure it), and these workers alone."""

    here: int | None = None
    workers: tuple[Worker, ...] = ()


class Forecast(Word, frozen=True):
    """What would become of the model of *card*: a plan, or a refusal with the reason."""

    backend: str
    card: ModelCard
    plan: SplitPlan | None = None
    refusal: str = ""


class Outlook(Word, frozen=True):
    """What there is, and what would come of it: *here* is this machine's memory in bytes."""

    here: int
    members: tuple[Member, ...] = ()
    forecasts: tuple[Forecast, ...] = ()


@contextmanager
def onlooker(settings: Settings) -> Generator[PartContext]:
    """Yield what parts may lean on; a node that never ran here is not made for looking.  Reads and writes files.

    Raises:
        ConfigError: there is a state folder, and it cannot be used.

    """
    folder = settings.state_path()
    if folder.is_dir():
        node, _ = establish(folder, settings.name)
        yield PartContext(node, folder)
        return
    with TemporaryDirectory(prefix="swarmgate-plan-") as passing:
        yield PartContext(Node(id=NodeId("plan"), name=settings.name), Path(passing))


async def foresee(
    blueprint: Blueprint,
    context: PartContext,
    *,
    given: Hypothesis | None = None,
    patience: float = PATIENCE_SECONDS,
) -> Outlook:
    """Return what *blueprint* would do now; nothing is loaded, and nobody's memory is taken.

    With *given* nobody is asked anything.  Otherwise workers are looked for until they stand still, for *patience*
    seconds at most.

    Raises:
        ConfigError: there is no model to serve.
        PluginError: a part could not be opened, or is not what its slot asks.

    """
    async with AsyncExitStack() as stack:
        parts = _Parts(blueprint, context, stack)
        splitter = next(iter((await parts.open(SPLITTER)).values()), None) or Whole()
        backends = await parts.open(BACKEND)
        if given is None:
            probes = {probe.service: probe for probe in (await parts.open(PROBE)).values()}
            probe = probes.get(LLAMA_RPC)
            members = await _look_around(parts, probe, settle=blueprint.settings.settle_seconds, patience=patience)
            here = await probe.here() if probe is not None else await free_memory()
        else:
            members = tuple(
                Member(offer=worker.offer, standing="usable", endpoint=worker.endpoint, labels=worker.offer.labels)
                for worker in given.workers
            )
            here = await free_memory() if given.here is None else given.here
        forecasts = _share_out(backends, here, _usable(members), splitter, blueprint.settings)
        return Outlook(here=here, members=members, forecasts=tuple(forecasts))


class _Parts:
    """Opens the parts of *blueprint*, one slot after the other, for as long as *stack* is."""

    def __init__(self, blueprint: Blueprint, context: PartContext, stack: AsyncExitStack) -> None:
        self._blueprint, self._context, self._stack = blueprint, context, stack

    async def open(self, slot: Slot[Any]) -> dict[str, Any]:
        """Return the parts of *slot*, opened, by name; of two equal names the second is ``name-2``."""
        opened: dict[str, Any] = {}
        for choice in self._blueprint.of(slot):
            name, number = choice.part.name, 2
            while name in opened:
                name, number = f"{choice.part.name}-{number}", number + 1
            opened[name] = await open_part(choice, self._context, self._stack)
        return opened


async def _look_around(parts: _Parts, probe: Probe | None, *, settle: float, patience: float) -> tuple[Member, ...]:
    transports: dict[str, Transport] = await parts.open(TRANSPORT)
    ledgers: list[Ledger] = list((await parts.open(LEDGER)).values())
    discoveries: list[Discovery] = list((await parts.open(DISCOVERY)).values())
    if not ledgers or not discoveries:
        return ()
    scout = _Scout(by_scheme({each.scheme: each for each in transports.values()}), probe, patience)
    async with background() as tasks:
        for discovery in discoveries:
            tasks.start_soon(discovery.run, ledgers[0])
        tasks.start_soon(scout.follow, ledgers[0], tasks)
        with anyio.move_on_after(patience):
            await scout.stand_still(max(settle, _QUIET_SECONDS))
    return scout.members()


class _Scout:
    """Asks once whoever offers something what that is."""

    def __init__(self, reach: Reach, probe: Probe | None, patience: float) -> None:
        self._reach, self._probe, self._patience = reach, probe, patience
        self._members: dict[tuple[Any, ...], Member] = {}
        self._news = anyio.Event()

    def members(self) -> tuple[Member, ...]:
        """Return who was found; those who have not answered are left out for that."""
        late = f"did not answer within {self._patience:g} s"
        return tuple(
            replace(member, standing="left_out", reason=late) if member.standing == "reaching" else member
            for _, member in sorted(self._members.items())
        )

    async def follow(self, ledger: Ledger, tasks: TaskGroup) -> None:
        async with ledger.watch(LLAMA_RPC) as sets:
            async for offers in sets:
                for offer in offers:
                    if offer.key not in self._members:
                        self._note(Member(offer=offer, labels=offer.labels))
                        tasks.start_soon(self._ask, offer)

    async def stand_still(self, settle: float) -> None:
        """Return when everybody has answered and nobody has come for *settle* seconds."""
        while True:
            news = self._news
            with anyio.move_on_after(settle) as silence:
                await news.wait()
            waiting = any(member.standing == "reaching" for member in self._members.values())
            if silence.cancelled_caught and not waiting:
                return
            if silence.cancelled_caught:
                await news.wait()

    async def _ask(self, offer: Offer) -> None:
        try:
            async with self._reach(offer) as endpoint:
                labels = offer.labels
                if self._probe is not None:
                    async with self._probe.watch(endpoint) as reports:
                        labels = {**labels, **await _first(reports)}
            member = Member(offer=offer, standing="usable", endpoint=endpoint, labels=labels)
        except (Unreachable, Unavailable) as error:
            member = Member(offer=offer, standing="left_out", reason=str(error), labels=offer.labels)
        else:
            if holder := labels.get("leased_by"):
                member = replace(member, standing="left_out", reason=f"is lent to {holder!r}")
        self._note(member)

    def _note(self, member: Member) -> None:
        self._members[member.offer.key] = member
        self._news.set()
        self._news = anyio.Event()


async def _first(reports: AsyncIterator[dict[str, str]]) -> dict[str, str]:
    async for labels in reports:
        return labels
    raise Unreachable("it says nothing of what it has")


def _usable(members: Sequence[Member]) -> list[Worker]:
    return [
        Worker(offer=replace(member.offer, labels=member.labels), endpoint=member.endpoint)
        for member in members
        if member.standing == "usable" and member.endpoint is not None
    ]


def _share_out(
    backends: dict[str, Backend], here: int, workers: Sequence[Worker], splitter: Splitter, settings: Settings
) -> list[Forecast]:
    """Plan for one model after the other, each with what those before it have left."""
    forecasts: list[Forecast] = []
    for name, backend in backends.items():
        for card in backend.models()[:1]:
            health = backend.health()
            if health.permanent:
                forecasts.append(Forecast(backend=name, card=card, refusal=health.reason))
                continue
            wanted = replace(card, placement=card.placement or settings.placement)
            try:
                plan = splitter.plan(wanted, here, workers)
            except Unavailable as error:
                forecasts.append(Forecast(backend=name, card=wanted, refusal=str(error)))
                continue
            forecasts.append(Forecast(backend=name, card=wanted, plan=plan))
            here = max(here - sum(portion.total for portion in plan.portions if portion.worker is None), 0)
            taken = {worker.offer.key for worker in plan.workers}
            workers = [worker for worker in workers if worker.offer.key not in taken]
    return forecasts
