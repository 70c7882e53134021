"""One balancer on one workload: the real dispatcher, errand and tallies on trio, whose clock jumps to what is next."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from random import Random
from statistics import fmean, pstdev
from tempfile import TemporaryDirectory
from typing import Any

import anyio
import msgspec
from sidebyside.figures import percentile
from swarmgate.admission import Admission, Asker
from swarmgate.api import GenerateRequest, NodeId, Part, PartContext, Sampling, SwarmgateError, TextPrompt
from swarmgate.api import Node as Self
from swarmgate.dispatch import Dispatcher
from swarmgate.errand import Route
from trio.testing import MockClock

from virtual.nodes import Node
from virtual.workloads import Arrival, Workload

_PATIENCE_SECONDS = 3600.0
#: trio shuffles its tasks, and has no other way to be told not to; hypothesis does it like this, too.
_SCHEDULER, _SWITCH = vars(import_module("trio._core._run")), "_ALLOW_DETERMINISTIC_SCHEDULING"
_GREEDY = Sampling(temperature=0.0, seed=0)


class Outcome(msgspec.Struct, frozen=True):
    """What came of a trial: times in seconds, shares in [0, 1].

    *first* is the time to the first token from the arrival, *whole* that to the end.  *odd_share* is the
    share of all attempts that went to the odd machine, *held_share* that of prompt tokens that needed no
    reading, *imbalance* the coefficient of variation of the machines' times spent reading.
    """

    workload: str
    balancer: str
    seed: int
    requests: int
    failed: int
    attempts: int
    resumed: int
    first_p50: float
    first_p99: float
    whole_p50: float
    whole_p99: float
    odd_share: float
    held_share: float
    imbalance: float


def trial(workload: Workload, part: Part[Any, Any], seed: int, requests: int) -> Outcome:
    """Send *requests* through the balancer that *part* opens, and return what came of them."""
    arrivals = workload.draw(Random(seed), workload.machines, requests)  # noqa: S311 -- makes a workload, keeps no secrets
    with _repeatable(seed):
        return anyio.run(
            _run, workload, part, seed, arrivals,
            backend="trio", backend_options={"clock": MockClock(autojump_threshold=0)},
        )  # fmt: skip


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


async def _run(workload: Workload, part: Part[Any, Any], seed: int, arrivals: list[Arrival]) -> Outcome:
    nodes = {machine.name: Node(machine) for machine in workload.machines}
    admission = Admission(queue_limit=len(arrivals), queue_seconds=_PATIENCE_SECONDS)
    options = part.options(seed=seed) if "seed" in part.options.__struct_fields__ else part.options()
    routes = [Route() for _ in arrivals]
    firsts: list[float] = []
    wholes: list[float] = []
    failed = 0
    began = anyio.current_time()

    async def visit(dispatcher: Dispatcher, arrival: Arrival, route: Route) -> None:
        nonlocal failed
        at = began + arrival.at
        await anyio.sleep_until(at)
        prompt = TextPrompt(text=arrival.prompt)
        request = GenerateRequest(id="r", model="m", prompt=prompt, sampling=_GREEDY, max_tokens=arrival.tokens)
        first: float | None = None
        try:
            async with dispatcher.generate(request, route=route, asker=Asker(arrival.asker)) as deltas:
                async for _ in deltas:
                    first = anyio.current_time() - at if first is None else first
        except SwarmgateError:
            failed += 1
            return
        if not arrival.counted:
            return
        firsts.append(first or 0.0)
        wholes.append(anyio.current_time() - at)

    with TemporaryDirectory() as state:
        context = PartContext(Self(id=NodeId("simulated"), name="simulated"), Path(state))
        async with part.open(options, context) as balancer:
            dispatcher = Dispatcher(lambda: nodes, balancer, admission)
            async with anyio.create_task_group() as tasks:
                for arrival, route in zip(arrivals, routes, strict=True):
                    tasks.start_soon(visit, dispatcher, arrival, route)
    asked = sum(node.asked for node in nodes.values())
    held = sum(node.held_tokens for node in nodes.values())
    busy = [node.busy_seconds for node in nodes.values() if not node.machine.fails]
    return Outcome(
        workload=workload.name,
        balancer=part.name,
        seed=seed,
        requests=len(arrivals),
        failed=failed,
        attempts=asked,
        resumed=sum(route.resumed for route in routes),
        first_p50=percentile(firsts, 50),
        first_p99=percentile(firsts, 99),
        whole_p50=percentile(wholes, 50),
        whole_p99=percentile(wholes, 99),
        odd_share=nodes[workload.odd].asked / asked,
        held_share=held / max(held + sum(node.read_tokens for node in nodes.values()), 1),
        imbalance=pstdev(busy) / max(fmean(busy), 1e-9),
    )
