from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

import msgspec
import pytest
from swarmgate.checks import Finding, Patient
from swarmgate.config.choices import Choice
from swarmgate.contracts import Discovery
from swarmgate.doctor.case import Case, Running
from swarmgate.doctor.lookout import Seen
from swarmgate.doctor.nodes import checks, seen_findings
from swarmgate.http.wire.members import PeerDocument, WayDocument, WorkerDocument
from swarmgate.http.wire.swarm import NodeDocument
from swarmgate.nouns import Endpoint
from swarmgate.parts import DISCOVERY, NoOptions, Options, Part, PartContext
from swarmgate.roster import Member
from swarmgate.testing import an_offer

pytestmark = pytest.mark.anyio
MakeCase = Callable[..., Case]
Levels = Callable[..., list[tuple[str, str]]]
SHED = WorkerDocument(
    name="shed",
    node="n1",
    service="llama-rpc",
    addresses=["tls://n1@10.0.0.5:1/rpc"],
    state="usable",
    found=["mdns", "dht"],
    way=WayDocument(address="tls://n1@10.0.0.5:1/rpc", kind="direct", rtt_seconds=0.0012),
    rpc_version="4.0.1",
)
ATTIC = WorkerDocument(
    name="attic",
    node="n2",
    service="llama-rpc",
    addresses=["tcp://10.0.0.6:50052"],
    state="left_out",
    found=["static"],
    reason="speaks version 3.0.0 of llama.cpp's RPC protocol, and this machine 4.0.1",
    retry_seconds=4.2,
)
DESK = PeerDocument(
    name="desk", node="n3", service="gateway", addresses=[], state="usable", version="0.1", models=["m"]
)


@asynccontextmanager
async def unopened(_: Options, __: PartContext) -> AsyncGenerator[Discovery]:
    raise AssertionError("nothing is opened where a gateway runs")
    yield


def a_discovery(name: str, *, members_only: bool = False) -> Choice:
    """Choose a discovery that is not used."""
    part = Part(name, "For a test.", NoOptions, unopened, members_only=members_only)
    return Choice(DISCOVERY, part, NoOptions())


async def made(case: Case, patient: Callable[..., Patient]) -> list[Finding]:
    [check] = checks(case)
    return list(await check.examine(patient()))


async def test_every_node_that_a_running_gateway_knows_is_judged(
    make_case: MakeCase, patient: Callable[..., Patient], running: Callable[..., Running], told: Levels
) -> None:
    """How it was found and is reached; or why not, where it was dialled, and when it is tried again."""
    broken = NodeDocument(name="b", node="far", state="broken", models=[], in_flight=0, retry_seconds=3.0)
    known = running(workers=[SHED, ATTIC], gateways=[DESK], nodes=[broken])
    found = await made(make_case(running=known), patient)
    assert told(found) == [("fine", ""), ("fault", "nodes.not_reached"), ("fine", ""), ("fault", "nodes.failing")]
    shed, attic, desk, far = found
    assert (shed.about, shed.what) == (
        "worker shed",
        "usable: by tls, direct, 1.2 ms, found by mdns, dht, llama.cpp RPC 4.0.1",
    )
    for fact in ("version 3.0.0", "dialled at tcp://10.0.0.6:50052", "found by static", "tried again in 4 s"):
        assert fact in attic.what
    assert desk.what == "usable: release 0.1, models m"
    assert far.about == "node far"


def test_what_a_lookout_saw_is_judged_alike(told: Levels) -> None:
    """A part that failed is a fault of its own."""
    seen = Seen()
    seen.workers = (
        Member(offer=an_offer("shed"), standing="usable", endpoint=Endpoint("127.0.0.1", 1)),
        Member(offer=an_offer("attic"), standing="left_out", reason="nobody answers"),
    )
    seen.failed["discovery/dht"] = "no route"
    found = seen_findings(seen)
    assert told(found) == [("fault", "nodes.part_failed"), ("fine", ""), ("fault", "nodes.not_reached")]
    assert (found[0].about, found[0].what) == ("discovery/dht", "no route")
    assert found[2].what.startswith("nobody answers; dialled at ")


async def test_who_has_left_is_worth_a_word(
    make_case: MakeCase, patient: Callable[..., Patient], running: Callable[..., Running], told: Levels
) -> None:
    """It may well have been stopped: no fault."""
    left = msgspec.structs.replace(SHED, state="gone", reason="its offer has ended", way=msgspec.UNSET)
    [found] = await made(make_case(running=running(workers=[left])), patient)
    assert (found.level, found.what) == ("note", "its offer has ended")


async def test_who_is_merely_announced_is_well(
    make_case: MakeCase, patient: Callable[..., Patient], running: Callable[..., Running]
) -> None:
    """Of many gateways a path is held to a few; the others are reached when they are asked."""
    far = msgspec.structs.replace(DESK, state="announced", found=["dht"])
    [found] = await made(make_case(running=running(gateways=[far])), patient)
    assert (found.level, found.what) == ("fine", "reached when it is asked: found by dht, release 0.1, models m")


async def test_a_swarm_in_which_nobody_is_looked_for_is_worth_a_word(
    make_case: MakeCase, patient: Callable[..., Patient], running: Callable[..., Running], told: Levels
) -> None:
    """Who lists addresses of workers may well not know that members are not looked for any more."""
    static, mdns = a_discovery("static"), a_discovery("mdns", members_only=True)
    case = make_case(static, running=running(workers=[SHED]), p2p=True)
    shed, unsought = await made(case, patient)
    assert told([shed, unsought]) == [("fine", ""), ("note", "nodes.unsought")]
    assert "static is all that is configured" in unsought.what
    both = make_case(static, mdns, running=running(workers=[SHED]), p2p=True)
    assert told(await made(both, patient)) == [("fine", "")]
    assert told(await made(make_case(static, running=running(workers=[SHED])), patient)) == [("fine", "")]


async def test_nobody_is_looked_for_behind_a_closed_door(
    make_case: MakeCase, patient: Callable[..., Patient], told: Levels
) -> None:
    """A gateway that runs and tells us nothing has the ports that looking would need."""
    assert told(await made(make_case(barred="takes none of the keys"), patient)) == [("note", "")]
