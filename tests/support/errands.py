"""An errand among backends that fail as they are told, for tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import anyio
import pytest
from swarmgate.chat import ModelCard
from swarmgate.echo import EchoBackend
from swarmgate.errand import Errand, Patience
from swarmgate.nouns import Candidate, Demand, Health, Pick
from swarmgate.places import Place
from swarmgate.tallies import Tallies

pytestmark = pytest.mark.anyio

CARD = ModelCard(name="m")
READY = Health(ready=True)
RESTARTING = Health(ready=False, reason="is being restarted")
PATIENCE = Patience(seconds=5, poll_seconds=0.01)


class Mortal(EchoBackend):
    """Is as healthy as it is told to be."""

    state = READY

    def health(self) -> Health:
        return self.state


@dataclass
class First:
    """Picks the first candidate and writes down what it is told."""

    seen: list[tuple[str, bool]] = field(default_factory=list[tuple[str, bool]])

    def pick(self, demand: Demand, candidates: Sequence[Candidate]) -> Pick:
        return Pick(candidate=candidates[0], reason="first")

    def observe(self, candidate: Candidate, *, seconds: float, failed: bool) -> None:
        self.seen.append((candidate.name, failed))


@dataclass
class Trip:
    """An errand among backends, each of which fails as its list says and answers with its name then."""

    outcomes: dict[str, list[Exception]]
    balancer: First = field(default_factory=First)
    patience: Patience = PATIENCE
    backends: dict[str, Mortal] = field(default_factory=dict[str, Mortal])

    def __post_init__(self) -> None:
        self.backends = {name: Mortal() for name in self.outcomes}
        self.errand = Errand(Demand(model="m"), self.places, self.balancer, Tallies(), self.patience)

    def places(self) -> tuple[Place, ...]:
        return tuple(Place(name, backend, CARD, backend.health()) for name, backend in self.backends.items())

    async def ask(self, place: Place) -> str:
        await anyio.lowlevel.checkpoint()
        if self.outcomes[place.name]:
            raise self.outcomes[place.name].pop(0)
        return place.name

    async def run(self) -> str:
        with anyio.fail_after(10):
            return await self.errand.run(self.ask)
