"""One balancer on one workload: the real dispatcher, errand and tallies on trio, whose clock jumps to what is next."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from importlib import import_module
from itertools import count
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import anyio
from swarmgate.admission import Admission, Asker
from swarmgate.api import (
    GenerateRequest,
    NodeId,
    Part,
    PartContext,
    QueueFull,
    Sampling,
    SwarmgateError,
    TextPrompt,
    Unavailable,
)
from swarmgate.api import Node as Self
from swarmgate.dispatch import Dispatcher
from swarmgate.errand import Route
from trio.testing import MockClock

from virtual.draws import Client, Request
from virtual.nodes import CHARACTERS, Node
from virtual.oracle import ASKING, Fleet
from virtual.outcome import Fate, Outcome, Record, Usage, outcome
from virtual.workloads import Workload

_PATIENCE_SECONDS = 3600.0
#: trio shuffles its tasks, and has no other way to be told not to; hypothesis does it like this, too.
_SCHEDULER, _SWITCH = vars(import_module("trio._core._run")), "_ALLOW_DETERMINISTIC_SCHEDULING"
_GREEDY = Sampling(temperature=0.0, seed=0)


def trial(workload: Workload, part: Part[Any, Any], seed: int, requests: int) -> Outcome:
    """Send about so many *requests* through the balancer that *part* opens, and return what came of them.

    Raises:
        ValueError: none of them was answered.

    """
    dice = Random(seed)  # noqa: S311 -- makes a workload, keeps no secrets
    clients = workload.draw.clients(dice, workload.machines, requests, workload.load)
    with _repeatable(seed):
        records, machines = anyio.run(
            _run, workload, part, seed, clients,
            backend="trio", backend_options={"clock": MockClock(autojump_threshold=0)},
        )  # fmt: skip
    return outcome((workload.name, part.name, seed), records, machines, workload.odd)


@contextmanager
def _repeatable(seed: int) -> Generator[None]:
    """Let trio run tasks in an order that depends on the seed alone."""
    before, state = _SCHEDULER[_SWITCH], _SCHEDULER["_r"].getstate()
    _SCHEDULER[_SWITCH] = True
    _SCHEDULER["_r"].seed(seed)
    try:
        yield
    finally:
        _SCHEDULER[_SWITCH] = before
        _SCHEDULER["_r"].setstate(state)


class _Visits:
    """Sends what clients ask, and notes what becomes of it.

    The gateway is not told how long an answer will be, as it is not told in life: only the machines are.
    """

    def __init__(self, patience: float | None) -> None:
        self.records: list[Record] = []
        self._patience = patience
        self._lengths: dict[str, int] = {}
        self._numbers = count()
        self._began = anyio.current_time()

    def length(self, request: GenerateRequest) -> int:
        """Return how long the answer to *request* is, in tokens."""
        return self._lengths[request.id]

    async def visit(self, dispatcher: Dispatcher, client: Client) -> None:
        """Send all that *client* asks, one after the other."""
        for asked in client.requests:
            await anyio.sleep(asked.pause)
            await self._ask(dispatcher, client, asked)

    async def _ask(self, dispatcher: Dispatcher, client: Client, asked: Request) -> None:
        request = GenerateRequest(
            id=f"{next(self._numbers)}", model="m", prompt=TextPrompt(text=asked.prompt), sampling=_GREEDY
        )
        self._lengths[request.id] = asked.tokens
        ASKING.set(asked)
        record = Record(
            client.asker, client.counted, len(asked.prompt) // CHARACTERS, asked.tokens, arrived=self._now()
        )
        route = Route()
        try:
            asker = Asker(client.asker, self._patience)
            async with dispatcher.generate(request, route=route, asker=asker) as deltas:
                async for delta in deltas:
                    if delta.token_ids:
                        record.pieces.append((self._now(), len(delta.token_ids)))
        except SwarmgateError as error:
            record.fate = _fate(error, begun=bool(record.pieces), attempts=route.attempts)
        record.ended, record.resumed = self._now(), route.resumed
        self.records.append(record)

    def _now(self) -> float:
        return anyio.current_time() - self._began


def _fate(error: SwarmgateError, *, begun: bool, attempts: int) -> Fate:
    if begun:
        return "truncated"
    return "shed" if isinstance(error, QueueFull | Unavailable) and not attempts else "failed"


async def _run(
    workload: Workload, part: Part[Any, Any], seed: int, clients: Sequence[Client]
) -> tuple[list[Record], list[Usage]]:
    visits = _Visits(workload.patience)
    fleet = Fleet({machine.name: Node(machine, visits.length) for machine in workload.machines})
    admission = Admission(queue_limit=len(clients), queue_seconds=_PATIENCE_SECONDS)
    options = part.options(seed=seed) if "seed" in part.options.__struct_fields__ else part.options()
    with TemporaryDirectory() as state:
        context = PartContext(Self(id=NodeId("simulated"), name="simulated"), Path(state))
        context.provide(Fleet, fleet)
        async with part.open(options, context) as balancer:
            dispatcher = Dispatcher(
                lambda: {name: node for name, node in fleet.items() if node.known()}, balancer, admission
            )
            async with anyio.create_task_group() as tasks:
                for client in clients:
                    tasks.start_soon(visits.visit, dispatcher, client)
    return visits.records, [
        Usage(name, node.asked, node.read_tokens, node.held_tokens, node.work_seconds) for name, node in fleet.items()
    ]
