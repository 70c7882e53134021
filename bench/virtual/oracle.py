"""A balancer that is told what no gateway can know: the bound that the others are held against."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar

from swarmgate.api import Balancer, Candidate, Demand, NoOptions, Part, PartContext, Pick

from virtual.draws import Request
from virtual.nodes import Node

ORACLE = "oracle"
#: How often the oracles count queues: the best of them, found in hindsight, is what the others are held against.
QUEUES_COUNT = (1.0, 2.0, 4.0)
#: The request that is on its way in this task.
ASKING: ContextVar[Request] = ContextVar("asking")


class Fleet(dict[str, Node]):
    """The machines themselves, by name; what the oracle requires of whoever opens it."""


class Oracle:
    """Picks the machine where a request adds the least to the time that all who are there take together.

    It knows how long the answer will be and those under way will be, true speeds, true caches, and how many wait for a
    slot; it does not know who will come, nor who will die when.  It places one request after the other
    and takes nothing back, so it is greedy, and what it reaches is no optimum: a balancer may do better.  As those who
    are yet to come wait behind the queues of today, it may count queues *queues_count* times.
    """

    def __init__(self, fleet: Mapping[str, Node], *, queues_count: float = 1.0) -> None:
        self._fleet = fleet
        self._queues_count = queues_count

    def __repr__(self) -> str:
        return f"<Oracle over {', '.join(self._fleet)}>"

    def pick(self, demand: Demand, candidates: Sequence[Candidate]) -> Pick:
        """Return the candidate with the least of :meth:`~virtual.nodes.Node.flow_seconds`, the first of equals."""
        asking = ASKING.get()
        scores = tuple(
            self._fleet[candidate.name].flow_seconds(
                asking.prompt, asking.tokens, waiting=demand.waiting, queues_count=self._queues_count
            )
            for candidate in candidates
        )
        return Pick(candidate=candidates[scores.index(min(scores))], reason="knows", scores=scores)

    def observe(self, candidate: Candidate, *, seconds: float, failed: bool) -> None:
        """Learn nothing: it knows."""


def oracle(queues_count: float) -> Part[NoOptions, Balancer]:
    """Return the oracle that counts queues so many times, as a part."""

    @asynccontextmanager
    async def opened(options: NoOptions, context: PartContext) -> AsyncGenerator[Balancer]:
        fleet = context.require(Fleet, hint="the oracle knows simulated machines alone; provide its Fleet first")
        yield Oracle(fleet, queues_count=queues_count)

    return Part(ORACLE, "Knows lengths, speeds and caches, and places greedily; no gateway can.", NoOptions, opened)
