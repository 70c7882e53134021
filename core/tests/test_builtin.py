from __future__ import annotations

from pathlib import Path

import pytest
from swarmgate import builtin
from swarmgate.builtin import FirstFree, Whole
from swarmgate.chat import ModelCard
from swarmgate.contracts import Backend, Balancer, Ledger, Splitter
from swarmgate.nouns import Candidate, Demand, Node, NodeId
from swarmgate.parts import NoOptions, PartContext


def test_the_first_free_one_is_picked() -> None:
    """In the order given; with nobody free, whoever has the least in flight per slot."""
    a, b = Candidate(name="a", in_flight=2, slots=2), Candidate(name="b", in_flight=3, slots=4)
    demand = Demand(model="m")
    assert FirstFree().pick(demand, [a, b]).candidate is b
    assert FirstFree().pick(demand, [b, a]).candidate is b
    full = Candidate(name="b", in_flight=5, slots=4)
    assert FirstFree().pick(demand, [a, full]).candidate is a


def test_whole_keeps_everything_here() -> None:
    """Its plan has no shares, whatever there is."""
    assert Whole().plan(ModelCard(name="m", weight_bytes=1 << 40), 0, ()).shares == ()


@pytest.mark.anyio
async def test_every_part_opens_what_its_slot_asks() -> None:
    """Each is found by its hook under its name, and opens with default options."""
    context = PartContext(Node(id=NodeId("n"), name="n"), Path())
    hooks = {
        "memory": (builtin.swarmgate_ledger, Ledger),
        "first_free": (builtin.swarmgate_balancer, Balancer),
        "whole": (builtin.swarmgate_splitter, Splitter),
        "echo": (builtin.swarmgate_backend, Backend),
    }
    for name, (hook, contract) in hooks.items():
        (part,) = hook()
        assert part.name == name
        assert part.summary.endswith(".")
        options = NoOptions() if part.options is NoOptions else part.options()
        async with part.open(options, context) as thing:
            assert isinstance(thing, contract)
