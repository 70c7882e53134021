"""``gateway top``: the running gateway on the whole screen, as it changes."""

from __future__ import annotations

import sys

import click

from swarmgate.cli.output import USAGE, expected_errors, fail
from swarmgate.cli.reading import config_option, read
from swarmgate.cli.running import asked
from swarmgate.cli.verbs import examples
from swarmgate.http.wire.swarm import SwarmDocument


@click.command(epilog=examples("gateway top", "gateway top -c other.toml"))
@config_option
def top(file: str | None) -> None:
    """Watch the running gateway on the whole screen: nodes, models, requests and rates, as they change.

    Keys: arrows and Tab move, / filters, d drains the chosen node or takes it back in (and asks before), q quits.  It
    outlasts the gateway's being started anew.  `gateway status --watch` is for where there is no such screen.

    The status is 1 if no gateway runs at the configured address.
    """
    with expected_errors():
        blueprint, _, _ = read(file, local=False)
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        fail("gateway top needs a terminal; elsewhere use `gateway status --watch`", status=USAGE)
    asked(blueprint.settings, "/v1/swarm", SwarmDocument, able="be watched")
    from swarmgate.cli.screen import TopScreen

    TopScreen(blueprint.settings).run()
