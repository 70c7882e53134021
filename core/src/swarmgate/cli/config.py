"""``gateway config``: write, check and explain the configuration."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from swarmgate.cli.output import USAGE, expected_errors, fail, print_json
from swarmgate.cli.reading import config_option, json_option, read
from swarmgate.cli.verbs import LazyGroup, Verb, examples

_VERBS = {
    "init": Verb(__name__, "init", "Write a gateway.toml that explains itself."),
    "check": Verb(__name__, "check", "Say everything that is wrong with the configuration."),
    "show": Verb(__name__, "show", "Show every value and where it came from."),
    "manual": Verb(__name__, "manual", "Print the reference of every setting and option, as Markdown."),
}


@click.group(cls=LazyGroup, verbs=_VERBS, epilog=examples("gateway config init && gateway config check"))
def config() -> None:
    """Write, check and explain the configuration."""


@click.command(epilog=examples("gateway config init ~/.config/swarmgate/gateway.toml"))
@click.argument("path", required=False, default="gateway.toml", type=click.Path())
@click.option("--force", is_flag=True, help="Write over a file that is there already.")
def init(path: str, force: bool) -> None:
    """Write a gateway.toml in which everything is explained, at PATH or in this folder."""
    from swarmgate.config.manual import template
    from swarmgate.plugins import load

    target = Path(path)
    if target.is_dir():
        target /= "gateway.toml"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("w" if force else "x", encoding="utf-8") as file:
            file.write(template(load()))
    except FileExistsError:
        fail(f"{target} is there already; --force writes over it", status=USAGE)
    except OSError as error:
        fail(f"{target} cannot be written: {error.strerror}")
    click.echo(f"wrote {target}; edit it, then try `gateway config check -c {target}`")


@click.command(epilog=examples("gateway config check -c gateway.toml"))
@config_option
@json_option
def check(file: str | None, as_json: bool) -> None:
    """Say everything that is wrong with the configuration, each fault with its line and remedy.

    The status is 0 if nothing is wrong, else 2.
    """
    from swarmgate.config.faults import FaultyConfig

    try:
        _, sources, _ = read(file)
    except FaultyConfig as error:
        faults = [{"source": each.source, "line": each.line, "what": each.what} for each in error.faults]
        if as_json:
            print_json({"ok": False, "faults": faults})
        else:
            click.echo(str(error), err=True)
        sys.exit(USAGE)
    files = [layer.place.source for layer in sources.files]
    if as_json:
        print_json({"ok": True, "files": files, "faults": []})
    else:
        click.echo(f"nothing is wrong with {', '.join(files) or 'the defaults; there is no gateway.toml'}")


@click.command(epilog=examples("gateway config show --json"))
@config_option
@json_option
def show(file: str | None, as_json: bool) -> None:
    """Show every value of the configuration and where it came from; secrets are masked."""
    from swarmgate.config.manual import as_toml, facts

    with expected_errors():
        blueprint, _, _ = read(file)
    shown: Any = facts(blueprint)
    if as_json:
        print_json(shown)
    else:
        click.echo(as_toml(shown), nl=False)


@click.command(epilog=examples("gateway config manual > config.md"))
def manual() -> None:
    """Print the reference of every setting, and of every option of the installed parts, as Markdown."""
    from swarmgate.config.manual import markdown
    from swarmgate.plugins import load

    click.echo(markdown(load()), nl=False)
