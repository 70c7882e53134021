"""``gateway federated``: one door for what other gateways serve."""

from __future__ import annotations

from typing import Any

import click

from swarmgate.cli.output import expected_errors
from swarmgate.cli.run import given, serve_by, serving_options
from swarmgate.cli.verbs import examples


@click.command(
    epilog=examples(
        "gateway federated --node http://10.0.0.9:8080 --node http://10.0.0.10:8080",
        'GATEWAY_NODES="http://host1:8080,http://host2:8080" gateway federated',
        "gateway federated --token-file swarm.token",
    )
)
@serving_options
def federated(file: str | None, **options: Any) -> None:
    """Serve what other gateways and OpenAI servers serve, until SIGINT or SIGTERM; no model is loaded here.

    They are those of --node, else of GATEWAY_NODES, those of the configuration's [[backend]] tables with
    use = "openai", and all gateways that a [[discovery]] finds.  Every request goes to one of them that
    serves its model; if that one fails, to another.
    """
    with expected_errors():
        serve_by(file, given({**options, "federated": True}), local=False)
