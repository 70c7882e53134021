from __future__ import annotations

from collections.abc import Callable

import pytest
from swarmgate.checks import Finding, Patient
from swarmgate.doctor.case import Case, Running
from swarmgate.doctor.models import checks
from swarmgate.http.standing import Check, Readiness

pytestmark = pytest.mark.anyio
MakeCase = Callable[..., Case]
Levels = Callable[..., list[tuple[str, str]]]


async def made(case: Case, patient: Callable[..., Patient]) -> list[Finding]:
    [check] = checks(case)
    return list(await check.examine(patient()))


async def test_each_model_of_a_running_gateway_is_judged(
    make_case: MakeCase, patient: Callable[..., Patient], running: Callable[..., Running], told: Levels
) -> None:
    """What is not ready is a fault, with the reason and how far it is."""
    checks_of = {
        "gateway": Check(ready=True),
        "model:a": Check(ready=True),
        "model:b": Check(ready=False, reason="2 GB are missing"),
        "model:c": Check(ready=False, reason="loading", progress=0.5),
    }
    found = await made(make_case(running=running(Readiness(ready=False, checks=checks_of))), patient)
    assert told(found) == [("fine", ""), ("fault", "models.not_ready"), ("fault", "models.not_ready")]
    assert [(each.about, each.what) for each in found] == [
        ("a", "ready"),
        ("b", "2 GB are missing"),
        ("c", "loading, 50% done"),
    ]


async def test_no_model_at_all_is_a_fault(
    make_case: MakeCase, patient: Callable[..., Patient], running: Callable[..., Running], told: Levels
) -> None:
    """Both of a gateway that runs, and of a configuration that chooses nobody who answers."""
    none = Readiness(ready=False, checks={"models": Check(ready=False, reason="no model is served")})
    assert told(await made(make_case(running=running(none)), patient)) == [("fault", "models.none")]
    assert told(await made(make_case(), patient)) == [("fault", "models.none")]


async def test_silence_is_noted(
    make_case: MakeCase, patient: Callable[..., Patient], running: Callable[..., Running], told: Levels
) -> None:
    """A gateway that tells nothing of its models is not said to be well."""
    assert told(await made(make_case(running=running()), patient)) == [("note", "")]
