"""``gateway completion``: the shell knows the verbs."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from swarmgate.cli.verbs import examples


@click.command(
    epilog=examples(
        'eval "$(gateway completion bash)"', "gateway completion fish > ~/.config/fish/completions/gateway.fish"
    )
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the script that lets SHELL complete `gateway`."""
    kind = get_completion_class(shell)
    if kind is not None:
        click.echo(kind(ctx.find_root().command, {}, "gateway", "_GATEWAY_COMPLETE").source())
