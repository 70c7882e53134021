"""What ``gateway run`` would do with the models, found out without doing it: ``gateway plan``."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import anyio
from msgspec.structs import replace

from swarmgate.allotment import Wish, allot, placed
from swarmgate.background import background
from swarmgate.builtin import Whole
from swarmgate.chat import ModelCard
from swarmgate.config.blueprint import Blueprint
from swarmgate.config.settings import Settings
from swarmgate.contracts import Backend, Discovery, Ledger, Probe, Splitter, Transport
from swarmgate.crew import muster
from swarmgate.identity import establish
from swarmgate.joining import settle, ticket_of
from swarmgate.memory import free_memory
from swarmgate.nouns import LLAMA_RPC, Word, Worker
from swarmgate.opening import open_part
from swarmgate.parts import BACKEND, DISCOVERY, LEDGER, PROBE, SPLITTER, TRANSPORT, PartContext, Slot
from swarmgate.reaching import by_scheme
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
        ConfigError: there is a state folder, and it cannot be used; or a swarm is to be looked at without a token.

    """
    folder = settings.state_path()
    if folder.is_dir():
        node, identity = settle(settings)
        yield PartContext(node, folder, identity.membership, settings.models_path())
        return
    ticket = ticket_of(settings)
    with TemporaryDirectory(prefix="swarmgate-plan-") as passing:
        node, identity = establish(Path(passing), settings.name, ticket=ticket)
        yield PartContext(node, Path(passing), identity.membership, settings.models_path())


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
            if blueprint.settings.memory_mb is not None:
                here = min(here, blueprint.settings.memory_mb << 20)
        else:
            members = tuple(
                Member(offer=worker.offer, standing="usable", endpoint=worker.endpoint, labels=worker.offer.labels)
                for worker in given.workers
            )
            here = await free_memory() if given.here is None else given.here
        forecasts = _forecasts(backends, here, _usable(members), splitter, blueprint.settings)
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
    reach = by_scheme({each.scheme: each for each in transports.values()})
    async with background() as tasks:
        for discovery in discoveries:
            tasks.start_soon(discovery.run, ledgers[0])
        for _ in range(2):  # a discovery that knows its offers from the start posts them first
            await anyio.lowlevel.checkpoint()
        settle = max(settle, _QUIET_SECONDS)
        async with muster(ledgers[0], LLAMA_RPC, reach, probe=probe, settle_seconds=settle) as crew:
            with anyio.move_on_after(patience):
                await anext(crew)  # the first is told when all have been looked at
                quiet = anyio.CancelScope()
                while not quiet.cancelled_caught:
                    with anyio.move_on_after(2 * settle) as quiet:
                        await anext(crew)
            return tuple(_verdict(member, patience) for member in crew.members())


def _verdict(member: Member, patience: float) -> Member:
    """Return *member* as it stands for one who would have it now."""
    if member.standing == "reaching":
        return replace(member, standing="left_out", reason=f"did not answer within {patience:g} s")
    holder = member.labels.get("leased_by") if member.standing == "usable" else None
    return replace(member, standing="left_out", reason=f"is lent to {holder!r}") if holder else member


def _usable(members: Sequence[Member]) -> list[Worker]:
    return [
        Worker(offer=replace(member.offer, labels=member.labels), endpoint=member.endpoint)
        for member in members
        if member.standing == "usable" and member.endpoint is not None
    ]


def _forecasts(
    backends: dict[str, Backend], here: int, workers: Sequence[Worker], splitter: Splitter, settings: Settings
) -> list[Forecast]:
    """Decide for all models as the gateway would."""
    cards = {name: placed(card, settings.placement) for name, each in backends.items() for card in each.models()[:1]}
    failed = {name: health.reason for name in cards if (health := backends[name].health()).permanent}
    wishes = [Wish(name=name, card=card) for name, card in cards.items() if name not in failed]
    decisions = allot(wishes, here, workers, splitter)
    forecasts: list[Forecast] = []
    for name, card in cards.items():
        decision = decisions.get(name)
        plan = decision if isinstance(decision, SplitPlan) else None
        refusal = "" if plan else failed.get(name) or str(decision)
        forecasts.append(Forecast(backend=name, card=card, plan=plan, refusal=refusal))
    return forecasts
