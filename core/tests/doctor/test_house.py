from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from swarmgate.checks import Finding, Patient
from swarmgate.doctor.case import Case, Running
from swarmgate.doctor.house import checks, folder_findings, place_finding
from swarmgate.errors import PluginError
from swarmgate.http.wire.swarm import GatewayDocument
from swarmgate.nouns import NodeId
from swarmgate.swarm.facts import facts_of
from swarmgate.swarm.membership import invite, join
from swarmgate.swarm.token import Token

pytestmark = pytest.mark.anyio
MakeCase = Callable[..., Case]
Levels = Callable[..., list[tuple[str, str]]]
TOKEN = Token(bytes(32))


async def made(case: Case, name: str, patient: Patient) -> list[Finding]:
    [check] = [each for each in checks(case) if each.name == name]
    return list(await check.examine(patient))


async def test_a_broken_plugin_is_named_with_its_reason(
    make_case: MakeCase, patient: Callable[..., Patient], told: Levels
) -> None:
    """Those that work are counted."""
    case = make_case()
    assert told(await made(case, "plugins", patient())) == [("fine", "")]
    case.catalogue.broken["acme"] = PluginError("acme 1.0: cannot be imported")
    found = await made(case, "plugins", patient())
    assert told(found) == [("fine", ""), ("fault", "plugins.broken")]
    assert (found[1].about, found[1].what) == ("acme", "acme 1.0: cannot be imported")


def test_the_state_folder_is_for_its_user_alone(tmp_path: Path, told: Levels) -> None:
    """A folder that is not there yet is fine; one that others may look into is not, nor is a file in its place."""
    folder = tmp_path / "state"
    assert told(folder_findings(folder)) == [("fine", "")]
    folder.mkdir(mode=0o700)
    assert told(folder_findings(folder)) == [("fine", "")]
    folder.chmod(0o755)
    assert told(folder_findings(folder)) == [("fault", "state.open")]
    assert "755" in folder_findings(folder)[0].what
    (tmp_path / "file").touch()
    assert told(folder_findings(tmp_path / "file")) == [("fault", "state.unusable")]
    assert told(folder_findings(tmp_path / "file" / "below")) == [("fault", "state.unusable")]


@pytest.mark.skipif(os.geteuid() == 0, reason="the administrator may write everywhere")
def test_a_folder_that_cannot_be_written_is_a_fault(tmp_path: Path, told: Levels) -> None:
    """Also the one above it, where it has yet to be made."""
    tmp_path.chmod(0o500)
    assert told(folder_findings(tmp_path)) == [("fault", "state.unusable")]
    assert told(folder_findings(tmp_path / "state")) == [("fault", "state.unusable")]


async def test_outside_a_swarm_there_is_nothing_to_say(
    make_case: MakeCase, patient: Callable[..., Patient], told: Levels
) -> None:
    """No token is asked for."""
    assert told(await made(make_case(), "token", patient())) == [("fine", "")]


async def test_a_swarm_that_only_the_running_gateway_knows_of(
    make_case: MakeCase, patient: Callable[..., Patient], running: Callable[..., Running]
) -> None:
    """It was started with a flag that the doctor did not get: then this machine is not said to be in none."""
    gateway = GatewayDocument(name="home", id="n0", version="1.2.3", uptime_seconds=7, swarm="s1")
    (member,) = await made(make_case(running=running(gateway=gateway)), "token", patient())
    assert (member.about, "is a member" in member.what) == ("swarm s1", True)
    (alone,) = await made(make_case(running=running()), "token", patient())
    assert "in no swarm" in alone.what


async def test_a_swarm_without_a_token_is_noted(
    make_case: MakeCase, patient: Callable[..., Patient], told: Levels
) -> None:
    """A first start would make one; a damaged one is a fault, and is not quoted."""
    assert told(await made(make_case(p2p=True), "token", patient())) == [("note", "token.missing")]
    found = await made(make_case(p2p=True, token=TOKEN.text[:-2]), "token", patient())
    assert told(found) == [("fault", "token.unusable")]
    assert TOKEN.text[5:15] not in str(found)


async def test_a_token_that_lets_nobody_in_is_a_fault(
    make_case: MakeCase, patient: Callable[..., Patient], told: Levels
) -> None:
    """Such as where this machine was revoked: there is no membership then."""
    case = make_case(p2p=True, token=TOKEN.text)
    assert told(await made(case, "token", patient())) == [("fault", "token.unusable")]
    assert told(await made(case, "token", patient(join(TOKEN, bytes(32))))) == [("fine", "")]


def test_an_invite_has_its_end(told: Levels) -> None:
    """One that ends soon is worth a word, one that has ended is a fault; the token never ends."""
    now = time.time()
    facts = facts_of(invite(TOKEN, "worker", days=30, key=bytes(32), now=now))
    me = NodeId("me")
    days = [0, 24, 31]
    found = [place_finding(facts, me, now=now + each * 86400) for each in days]
    assert told(found) == [("fine", ""), ("note", "token.ends"), ("fault", "token.unusable")]
    assert all("worker" in each.what for each in found)
    assert place_finding(facts_of(TOKEN), me, now=now + 1e9).level == "fine"


async def test_it_says_where_the_configuration_comes_from(make_case: MakeCase, patient: Callable[..., Patient]) -> None:
    """Nothing but defaults is said, too."""
    [found] = await made(make_case(), "config", patient())
    assert found.what == "is the default"
