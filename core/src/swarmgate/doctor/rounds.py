"""The doctor's rounds: makes all checks at once, each within its time, and reports in order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import anyio

from swarmgate.checks import Ailment, Check, Finding, Level, Patient
from swarmgate.config.blueprint import Blueprint
from swarmgate.doctor import address, clocks, house, models, nodes
from swarmgate.doctor.case import Case
from swarmgate.errors import SwarmgateError
from swarmgate.nouns import Word
from swarmgate.parts import Options, PartContext

#: The longest that one check may take, in seconds: a libp2p child on a busy machine needs most of it.
LONGEST_SECONDS = 60.0

CHECK_FAILED = Ailment(
    code="doctor.failed",
    meaning="A check itself failed, or took too long: nothing is known of what it was to look at.",
    remedy="That is a fault of the plugin named with the check, or of this program: report it with the finding.",
)


class Section(Word, frozen=True):
    """What one check found; *origin* is the distribution that brought the check, empty for our own."""

    name: str
    summary: str
    origin: str = ""
    findings: tuple[Finding, ...] = ()


class Report(Word, frozen=True):
    """All that was found."""

    sections: tuple[Section, ...] = ()

    def count(self, level: Level) -> int:
        """Return how many findings are of that *level*."""
        return sum(finding.level == level for section in self.sections for finding in section.findings)


def own_checks(case: Case) -> list[Check]:
    """Return the checks that the core makes, in the order in which one would look."""
    return [each for room in (house, address, models, nodes, clocks) for each in room.checks(case)]


async def make_rounds(case: Case, context: PartContext, brought: Sequence[tuple[Check, str]] = ()) -> Report:
    """Make the core's checks and those that plugins have *brought*, each with the distribution it is from."""
    chosen = _options(case.blueprint)
    patient = Patient(context, chosen, running=case.running is not None)
    wanted = [(check, "") for check in own_checks(case)]
    wanted += [(check, origin) for check, origin in brought if not check.parts or check.parts & chosen.keys()]
    sections: list[Section] = [
        Section(name=check.name, summary=check.summary, origin=origin) for check, origin in wanted
    ]

    async def make(index: int, check: Check) -> None:
        findings = await _made(check, patient)
        made = sections[index]
        sections[index] = Section(name=made.name, summary=made.summary, origin=made.origin, findings=findings)

    async with anyio.create_task_group() as tasks:
        for index, (check, _) in enumerate(wanted):
            tasks.start_soon(make, index, check)
    return Report(sections=tuple(sections))


async def _made(check: Check, patient: Patient) -> tuple[Finding, ...]:
    try:
        with anyio.fail_after(LONGEST_SECONDS):
            return tuple(await check.examine(patient))
    except TimeoutError:
        return (CHECK_FAILED.found(f"has not ended within {LONGEST_SECONDS:g} s"),)
    except SwarmgateError as error:
        return (CHECK_FAILED.found(str(error)),)
    except Exception as error:  # noqa: BLE001  # a plugin's check may raise anything, and the others still count
        return (CHECK_FAILED.found(f"{type(error).__name__}: {error}"),)


def _options(blueprint: Blueprint) -> dict[str, tuple[Options, ...]]:
    found: dict[str, tuple[Any, ...]] = {}
    for choice in blueprint.choices:
        key = f"{choice.slot.name}/{choice.part.name}"
        found[key] = (*found.get(key, ()), choice.options)
    return found
