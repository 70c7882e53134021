"""``gateway doctor``: everything that has to be right is looked at, and each fault gets its remedy."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import click

from swarmgate.cli.output import FAILED, expected_errors, print_hanging, print_json
from swarmgate.cli.reading import config_option, forget_token, json_option, swarm_options
from swarmgate.cli.verbs import examples

if TYPE_CHECKING:
    from swarmgate.checks import Check, Finding
    from swarmgate.config.blueprint import Blueprint
    from swarmgate.config.faults import FaultyConfig
    from swarmgate.doctor.case import Case, Running
    from swarmgate.doctor.rounds import Report, Section
    from swarmgate.plugins import Catalogue

_WORDS = {"fine": "ok   ", "note": "note ", "fault": "FAULT"}
#: Behind the longest of these.
_INDENT = 8


@click.command(epilog=examples("gateway doctor", "gateway doctor --json", "TOKEN=... gateway doctor"))
@config_option
@swarm_options
@click.option("--state-dir", metavar="FOLDER", type=click.Path(), help="Folder for what survives a restart.")
@click.option("--manual", is_flag=True, help="Print the page of everything that can be found, as Markdown.")
@json_option
def doctor(file: str | None, *, manual: bool, as_json: bool, **flags: object) -> None:
    """Look at everything that has to be right, and say of each fault what to do.

    Configuration, plugins, state folder, token, address, engine, multicast, libp2p, clocks, and every node that is
    known: by what it was found, where it was dialled, and why it is not reached.  A gateway that runs at the configured
    address is asked; where none runs, nodes are looked for, for some seconds.  Nothing is changed.

    The status is 1 if something is wrong.
    """
    from swarmgate.plugins import load

    catalogue = load()
    if manual:
        click.echo(_page(catalogue), nl=False)
        return
    with expected_errors():
        report = _examined(file, {name: each for name, each in flags.items() if each}, catalogue)
    if as_json:
        print_json(report)
    else:
        for section in report.sections:
            _print(section)
        click.echo(_verdict(report))
    if report.count("fault"):
        sys.exit(FAILED)


def _page(catalogue: Catalogue) -> str:
    from swarmgate.config.blueprint import Blueprint
    from swarmgate.doctor.case import Case
    from swarmgate.doctor.manual import markdown

    return markdown(Case(Blueprint(), catalogue), _brought(catalogue))


def _brought(catalogue: Catalogue) -> list[tuple[Check, str]]:
    return [(check, plugin.distribution) for check, plugin in catalogue.checks()]


def _examined(file: str | None, flags: dict[str, object], catalogue: Catalogue) -> Report:
    from swarmgate.config.blueprint import draw
    from swarmgate.config.faults import FaultyConfig
    from swarmgate.config.layers import gather

    try:
        blueprint = draw(gather(flags, os.environ, config=file), catalogue)
    except FaultyConfig as error:
        return _at_fault(error)
    forget_token(blueprint.settings)
    brought = _brought(catalogue)  # before the catalogue is looked at: what fails here is broken, too
    return _rounds(_case(blueprint, catalogue), brought)


def _at_fault(error: FaultyConfig) -> Report:
    """Return the report on a configuration that cannot be used: without one there is nothing else to look at."""
    from swarmgate.doctor.house import FAULTY_CONFIG
    from swarmgate.doctor.rounds import Report, Section

    found = tuple(FAULTY_CONFIG.found(str(each)) for each in error.faults)
    return Report(sections=(Section(name="config", summary="the configuration", findings=found),))


def _case(blueprint: Blueprint, catalogue: Catalogue) -> Case:
    from swarmgate.cli.running import ask_running
    from swarmgate.doctor.case import Case

    said = ask_running(blueprint.settings)
    return Case(blueprint, catalogue, running=_running(blueprint, said.url, said.swarm), barred=said.fault)


def _running(blueprint: Blueprint, url: str, swarm: object) -> Running | None:
    import msgspec

    from swarmgate.cli.running import ask
    from swarmgate.doctor.case import Running
    from swarmgate.http.standing import Readiness
    from swarmgate.http.wire.swarm import SwarmDocument

    if not isinstance(swarm, SwarmDocument):
        return None
    try:
        readiness = msgspec.json.decode(ask(blueprint.settings, "/readyz").body, type=Readiness)
    except msgspec.MsgspecError:
        readiness = None
    return Running(url, swarm, readiness)


def _rounds(case: Case, brought: Sequence[tuple[Check, str]]) -> Report:
    import anyio
    import msgspec

    from swarmgate import logs
    from swarmgate.doctor.rounds import make_rounds
    from swarmgate.errors import ConfigError
    from swarmgate.planning import onlooker

    logs.configure("console", "error")
    settings = case.blueprint.settings
    outside = msgspec.structs.replace(settings, p2p=False, token=None)
    try:
        with onlooker(settings) as context:
            return anyio.run(partial(make_rounds, case, context, brought))
    except ConfigError:  # no token, or one that lets nobody in: the check of it says so
        with onlooker(outside) as context:
            return anyio.run(partial(make_rounds, case, context, brought))


def _print(section: Section) -> None:
    click.echo(f"{section.summary[:1].upper()}{section.summary[1:]} ({section.name})")
    for finding in section.findings:
        _print_finding(finding)
    click.echo()


def _print_finding(finding: Finding) -> None:
    subject = f"{finding.about}: " if finding.about else ""
    print_hanging(f"  {_WORDS[finding.level]} ", f"{subject}{finding.what}{_code(finding)}", _INDENT)
    for line in finding.remedy.splitlines():
        print_hanging(f"{'':<{_INDENT}}-> ", line, _INDENT + 3)


def _code(finding: Finding) -> str:
    return f" [{finding.code}]" if finding.code else ""


def _verdict(report: Report) -> str:
    faults, notes = report.count("fault"), report.count("note")
    noted = f", {notes} worth a look" if notes else ""
    if not faults:
        return f"nothing is wrong{noted}"
    return f"{faults} {'fault' if faults == 1 else 'faults'}{noted}"
