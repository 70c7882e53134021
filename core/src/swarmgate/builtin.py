"""The parts the core itself brings, registered like any other plugin's."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from swarmgate.chat import ModelCard
from swarmgate.contracts import Backend, Balancer, Ledger, Splitter
from swarmgate.echo import EchoBackend, EchoOptions
from swarmgate.hookspecs import hookimpl
from swarmgate.ledger import MemoryLedger
from swarmgate.nouns import Candidate, Demand, Pick, Worker
from swarmgate.parts import NoOptions, Part, PartContext
from swarmgate.split import SplitPlan


class FirstFree:
    """Picks the first candidate with a free slot, else the one with the least in flight per slot."""

    def pick(self, demand: Demand, candidates: Sequence[Candidate]) -> Pick:
        """Return the first of *candidates* with a free slot, or the least busy."""
        free = next((candidate for candidate in candidates if candidate.in_flight < candidate.slots), None)
        if free is not None:
            return Pick(candidate=free, reason="first with a free slot")
        least = min(candidates, key=lambda candidate: candidate.in_flight / max(candidate.slots, 1))
        return Pick(candidate=least, reason="none is free; fewest requests per slot")

    def observe(self, candidate: Candidate, *, seconds: float, failed: bool) -> None:
        """Learn nothing."""


class Whole:
    """Keeps every model in one piece, here."""

    def plan(self, model: ModelCard, here: int, workers: Sequence[Worker]) -> SplitPlan:
        """Return the empty plan."""
        return SplitPlan(reason="models are not split")


@asynccontextmanager
async def open_memory(options: NoOptions, context: PartContext) -> AsyncGenerator[Ledger]:
    """Open an empty ledger."""
    yield MemoryLedger()


@asynccontextmanager
async def open_first_free(options: NoOptions, context: PartContext) -> AsyncGenerator[Balancer]:
    """Open the simplest balancer."""
    yield FirstFree()


@asynccontextmanager
async def open_whole(options: NoOptions, context: PartContext) -> AsyncGenerator[Splitter]:
    """Open the splitter that does not split."""
    yield Whole()


@asynccontextmanager
async def open_echo(options: EchoOptions, context: PartContext) -> AsyncGenerator[Backend]:
    """Open an echo."""
    yield EchoBackend(options)


@hookimpl
def swarmgate_ledger() -> list[Part[Any, Ledger]]:
    """Offer ``memory``."""
    return [Part("memory", "Keeps offers in this process only.", NoOptions, open_memory)]


@hookimpl
def swarmgate_balancer() -> list[Part[Any, Balancer]]:
    """Offer ``first_free``."""
    return [Part("first_free", "Picks the first backend with a free slot.", NoOptions, open_first_free)]


@hookimpl
def swarmgate_splitter() -> list[Part[Any, Splitter]]:
    """Offer ``whole``."""
    return [Part("whole", "Keeps every model in one piece on this machine.", NoOptions, open_whole)]


@hookimpl
def swarmgate_backend() -> list[Part[Any, Backend]]:
    """Offer ``echo``."""
    return [Part("echo", "Repeats what it is told; for trying things out.", EchoOptions, open_echo)]
