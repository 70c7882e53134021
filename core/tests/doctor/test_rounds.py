from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path

import anyio
import pytest
from swarmgate.checks import Ailment, Check, Finding, Patient
from swarmgate.config.choices import Choice
from swarmgate.doctor import rounds
from swarmgate.doctor.case import Case
from swarmgate.doctor.rounds import make_rounds, own_checks
from swarmgate.errors import Unreachable
from swarmgate.parts import BALANCER, NoOptions, Part
from swarmgate.testing import a_context

pytestmark = pytest.mark.anyio
MakeCase = Callable[..., Case]
SICK = Ailment(code="a.b", meaning="It is sick.", remedy="Cure it.")


def a_check(
    name: str, *findings: Finding, raises: Exception | None = None, parts: frozenset[str] = frozenset()
) -> Check:
    async def examine(_: Patient) -> Sequence[Finding]:
        await anyio.lowlevel.checkpoint()
        if raises is not None:
            raise raises
        return findings

    return Check(name, f"what {name} is", (SICK,), examine, parts)


async def test_all_checks_are_made_and_told_in_order(make_case: MakeCase, tmp_path: Path) -> None:
    """Ours first, then those that plugins brought, each with where it is from."""
    brought = [(a_check("x", SICK.found("is sick")), "acme-x"), (a_check("y", Finding(what="is well")), "acme-y")]
    report = await make_rounds(make_case(), a_context(tmp_path), brought)
    ours = [each.name for each in own_checks(make_case())]
    assert [each.name for each in report.sections] == [*ours, "x", "y"]
    assert [each.origin for each in report.sections[-2:]] == ["acme-x", "acme-y"]
    assert report.sections[-2].findings == (SICK.found("is sick"),)
    assert report.count("fault") == 2  # and that no model is served


async def test_a_check_is_made_for_its_parts_alone(make_case: MakeCase, tmp_path: Path) -> None:
    """Nobody needs to hear of what is not used."""
    part: Part[NoOptions, object] = Part("dice", "For a test.", NoOptions, lambda *_: nullcontext(object()))
    case = make_case(Choice(BALANCER, part, NoOptions()))
    brought = [(a_check(name, parts=frozenset({f"balancer/{name}"})), "") for name in ("dice", "lots")]
    report = await make_rounds(case, a_context(tmp_path), brought)
    assert [each.name for each in report.sections][-1] == "dice"
    assert "lots" not in [each.name for each in report.sections]


@pytest.mark.parametrize("error", [Unreachable("gone"), ValueError("oops")])
async def test_a_check_that_fails_is_a_fault_itself(make_case: MakeCase, tmp_path: Path, error: Exception) -> None:
    """The others are still made."""
    brought = [(a_check("x", raises=error), ""), (a_check("y", Finding(what="is well")), "")]
    report = await make_rounds(make_case(), a_context(tmp_path), brought)
    failed, well = report.sections[-2:]
    assert failed.findings[0].code == "doctor.failed"
    assert str(error) in failed.findings[0].what
    assert well.findings[0].level == "fine"


async def test_a_check_that_does_not_end_is_given_up(
    make_case: MakeCase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After its time it is a fault."""
    monkeypatch.setattr(rounds, "LONGEST_SECONDS", 0.05)
    own = list(own_checks(make_case()))
    monkeypatch.setattr(rounds, "own_checks", lambda _: own[:1])

    async def endless(_: Patient) -> Sequence[Finding]:
        await anyio.sleep_forever()
        return []

    report = await make_rounds(make_case(), a_context(tmp_path), [(Check("x", "x", (), endless), "")])
    assert report.sections[-1].findings[0].code == "doctor.failed"
    assert "has not ended" in report.sections[-1].findings[0].what
