from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from swarmgate.builtin import swarmgate_ledger
from swarmgate.config.blueprint import Blueprint, Choice
from swarmgate.config.settings import Settings
from swarmgate.contracts import Ledger
from swarmgate.doctor.lookout import look_out
from swarmgate.errors import Unreachable
from swarmgate.nouns import Endpoint, Offer
from swarmgate.parts import DISCOVERY, LEDGER, PROBE, TRANSPORT, NoOptions, Part, PartContext, Slot
from swarmgate.testing import FakeProbe, FakeTransport, a_context, an_offer

pytestmark = pytest.mark.anyio
SHED, ATTIC = Endpoint("10.0.0.1", 1), Endpoint("10.0.0.2", 2)


class Told:
    """A discovery that posts its offers, or fails."""

    def __init__(self, *offers: Offer, fault: Exception | None = None) -> None:
        self.offers, self.fault = offers, fault

    async def run(self, ledger: Ledger) -> None:
        for offer in self.offers:
            await ledger.post(offer)
        if self.fault is not None:
            raise self.fault
        await anyio.sleep_forever()


def choice(slot: Slot[Any], thing: Any, name: str = "it", *, members_only: bool = False) -> Choice:
    @asynccontextmanager
    async def opened(options: Any, context: PartContext) -> AsyncGenerator[Any]:
        if isinstance(thing, Exception):
            raise thing
        yield thing

    part = Part(name, "For a test.", NoOptions, opened, members_only=members_only)
    return Choice(slot, part, NoOptions())


def blueprint(*choices: Choice) -> Blueprint:
    [memory] = swarmgate_ledger()
    return Blueprint(Settings(), (Choice(LEDGER, memory, NoOptions()), *choices))


async def test_who_is_found_is_reached_or_not(tmp_path: Path) -> None:
    """Each with the discovery that found it; who has not answered in time is not said to be on its way."""
    offers = [an_offer(name, addresses=(f"fake://{name}",)) for name in ("shed", "attic")]
    transport, probe = FakeTransport({"fake://shed": SHED, "fake://attic": ATTIC}), FakeProbe()
    probe.say(SHED, {"memory_bytes": "1"})
    plan = blueprint(choice(TRANSPORT, transport), choice(DISCOVERY, Told(*offers), "told"), choice(PROBE, probe))
    seen = await look_out(plan, a_context(tmp_path), patience=0.3)
    standing = {each.offer.name: each for each in seen.workers}
    assert {name: each.standing for name, each in standing.items()} == {"shed": "usable", "attic": "left_out"}
    assert standing["attic"].reason
    assert {each.found for each in seen.workers} == {("told",)}
    assert (seen.gateways, seen.failed) == ((), {})


async def test_a_part_that_fails_spoils_nothing(tmp_path: Path) -> None:
    """It is named with its reason, whether it does not open or ends; the others still look."""
    broken = choice(TRANSPORT, Unreachable("no such device"), "broken")
    fleeting = choice(DISCOVERY, Told(fault=ValueError("lost")), "fleeting")
    plan = blueprint(broken, fleeting, choice(DISCOVERY, Told(an_offer("shed")), "told"))
    seen = await look_out(plan, a_context(tmp_path), patience=0.2)
    assert set(seen.failed) == {"transport/broken", "discovery/fleeting"}
    assert "no such device" in seen.failed["transport/broken"]
    assert "lost" in seen.failed["discovery/fleeting"]
    assert [each.offer.name for each in seen.workers] == ["shed"]


async def test_what_is_for_members_is_left_out_elsewhere(tmp_path: Path) -> None:
    """Without a membership its not opening would say nothing new."""
    members = choice(TRANSPORT, Unreachable("not opened"), "tls", members_only=True)
    seen = await look_out(blueprint(members), a_context(tmp_path), patience=0.1)
    assert seen.failed == {}
