"""``gateway drain``: a node of the running gateway is sent nothing new."""

from __future__ import annotations

import click

from swarmgate.cli.known import complete_nodes
from swarmgate.cli.output import expected_errors, print_json
from swarmgate.cli.reading import config_option, json_option, read
from swarmgate.cli.verbs import examples


@click.command(epilog=examples("gateway drain node-2", "gateway drain node-2 --undo"))
@click.argument("node", shell_complete=complete_nodes)
@click.option("--undo", is_flag=True, help="Take the node back in.")
@json_option
@config_option
def drain(node: str, file: str | None, *, undo: bool, as_json: bool) -> None:
    """Send nothing new to NODE: a backend's name, or that of the gateway behind it.

    What it is answering it finishes.  `GET /v1/swarm` shows its requests in flight; at none it may be stopped.  This
    lasts until --undo, or until the gateway is started anew.
    """
    from swarmgate.cli.running import asked
    from swarmgate.http.wire.swarm import Drained

    with expected_errors():
        blueprint, _, _ = read(file, local=False)
    order = {"node": node, "drain": not undo}
    told = asked(blueprint.settings, "/v1/swarm/drain", Drained, able="drain nodes", order=order)
    if as_json:
        print_json(told)
    else:
        click.echo(
            f"{', '.join(told.backends)}: {'in service again' if undo else 'drained: nothing new is sent there'}"
        )
