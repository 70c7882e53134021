from __future__ import annotations

from pathlib import Path

import anyio
import pytest
from swarmgate.api import Candidate, Demand, GenerateRequest, NodeId, NoOptions, PartContext, PluginError, TextPrompt
from swarmgate.api import Node as Self
from trio.testing import MockClock
from virtual.draws import Request
from virtual.nodes import Machine, Node
from virtual.oracle import ASKING, Fleet, Oracle, oracle

SLOW, FAST = Machine("slow"), Machine("").times(2, "fast")
BOTH = [Candidate(name="slow"), Candidate(name="fast")]
DEMAND = Demand(model="m")


@pytest.fixture(params=[pytest.param(("trio", {"clock": MockClock(autojump_threshold=0)}), id="virtual")])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, object]]:
    return request.param


async def answer(node: Node, prompt: str, tokens: int) -> None:
    request = GenerateRequest(id="r", model="m", prompt=TextPrompt(text=prompt), max_tokens=tokens)
    async with node.generate(request) as deltas:
        async for _ in deltas:
            pass


def picked(fleet: Fleet, prompt: str, tokens: int) -> str:
    ASKING.set(Request(prompt, tokens, 0.0))
    return Oracle(fleet).pick(DEMAND, BOTH).candidate.name


@pytest.mark.anyio
async def test_it_knows_speeds_before_anybody_measured_them() -> None:
    """Of two idle machines the fast one is picked, and one that fails never."""
    assert picked(Fleet(slow=Node(SLOW), fast=Node(FAST)), "x" * 400, 10) == "fast"
    broken = Fleet(slow=Node(SLOW), fast=Node(Machine("fast", fails=True)))
    assert picked(broken, "x" * 400, 10) == "slow"


@pytest.mark.anyio
async def test_it_knows_what_is_held() -> None:
    """A slow machine that holds a long prompt beats a fast one that does not."""
    fleet = Fleet(slow=Node(SLOW), fast=Node(FAST))
    await answer(fleet["slow"], "x" * 16_000, 1)
    assert picked(fleet, "x" * 16_000, 10) == "slow"
    assert picked(fleet, "y" * 16_000, 10) == "fast"


@pytest.mark.anyio
async def test_it_knows_how_long_answers_will_be() -> None:
    """With all slots of the fast machine taken it depends on how much is left there, which nobody else knows."""
    found: list[str] = []
    for tokens in (16, 800):
        fleet = Fleet(slow=Node(SLOW), fast=Node(FAST))
        async with anyio.create_task_group() as tasks:
            for letter in "abcd":
                tasks.start_soon(answer, fleet["fast"], letter * 40, tokens)
            await anyio.sleep(0.3)
            found.append(picked(fleet, "x" * 400, 100))
    assert found == ["fast", "slow"]


@pytest.mark.anyio
async def test_as_a_part_it_requires_the_machines(tmp_path: Path) -> None:
    """It opens where a fleet was provided, and says what is missing elsewhere."""
    context = PartContext(Self(id=NodeId("n"), name="n"), tmp_path)
    with pytest.raises(PluginError, match="the oracle knows simulated machines alone"):
        async with oracle(1.0).open(NoOptions(), context):
            pass
    context.provide(Fleet, Fleet(slow=Node(SLOW)))
    async with oracle(1.0).open(NoOptions(), context) as opened:
        assert repr(opened) == "<Oracle over slow>"
