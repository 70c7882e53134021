"""``gateway plugins``: what is installed."""

from __future__ import annotations

import sys
from typing import Any, NoReturn

import click

from swarmgate.cli.output import FAILED, USAGE, fail, print_json, print_table
from swarmgate.cli.reading import json_option
from swarmgate.cli.verbs import LazyGroup, Verb, examples
from swarmgate.plugins import Catalogue, Entry, load

_VERBS = {
    "list": Verb(__name__, "list_plugins", "List every part that installed plugins bring."),
    "show": Verb(__name__, "show", "Show a part's options, defaults and variables."),
}


@click.group(cls=LazyGroup, verbs=_VERBS, epilog=examples("gateway plugins list"))
def plugins() -> None:
    """Look at what is installed."""


@click.command("list", epilog=examples("gateway plugins list --json"))
@json_option
def list_plugins(as_json: bool) -> None:
    """List every part that installed plugins bring, and every plugin that is broken.

    The status is 1 if anything is broken.
    """
    catalogue = load()
    commands = catalogue.commands()
    parts = [_part(entry) for entry in catalogue]
    parts += [
        {
            "slot": "command",
            "name": name,
            "summary": command.get_short_help_str(limit=200),
            "plugin": plugin.name,
            "distribution": plugin.distribution,
            "version": plugin.version,
        }
        for name, (command, plugin) in commands.items()
    ]
    broken = [{"plugin": name, "reason": str(reason)} for name, reason in sorted(catalogue.broken.items())]
    if as_json:
        print_json({"parts": parts, "broken": broken})
    else:
        rows = [(each["slot"], each["name"], each["summary"], _from(each)) for each in parts]
        print_table(rows)
        for each in broken:
            click.echo(f"broken: {each['plugin']}: {each['reason']}", err=True)
    sys.exit(FAILED if broken else 0)


def _part(entry: Entry) -> dict[str, str]:
    return {
        "slot": entry.slot.name,
        "name": entry.part.name,
        "summary": entry.part.summary,
        "plugin": entry.plugin,
        "distribution": entry.distribution,
        "version": entry.version,
    }


def _from(part: dict[str, str]) -> str:
    return f"{part['distribution']} {part['version']}".strip()


@click.command(epilog=examples("gateway plugins show llamacpp", "gateway plugins show backend/llamacpp --json"))
@click.argument("name")
@json_option
def show(name: str, as_json: bool) -> None:
    """Show the options, defaults, help and environment variables of the part called NAME.

    Where several slots have a part of that name, say which: NAME is slot/name then.
    """
    entry = _find(load(), name)
    from swarmgate.config.manual import option_facts

    options: list[dict[str, Any]] = option_facts(entry.part.options, entry.part.environ)
    if as_json:
        print_json({**_part(entry), "options": options})
        return
    use = f"[[{entry.slot.name}]]" if entry.slot.many else f"[{entry.slot.name}]"
    click.echo(f"{entry.slot.name}/{entry.part.name}: {entry.part.summary}")
    click.echo(f'from {entry.origin}; chosen by {use} use = "{entry.part.name}"')
    for option in options:
        click.echo(f"\n  {option['name']}: {option['type']}; {option['default_text']}")
        if option["variable"]:
            click.echo(f"      environment: {option['variable']}")
        if option["help"]:
            click.echo(click.wrap_text(option["help"], 100, "      ", "      "))
    if not options:
        click.echo("\n  It has no options.")


def _find(catalogue: Catalogue, name: str) -> Entry:
    slot, _, part = name.rpartition("/")
    found = [entry for entry in catalogue if entry.part.name == part and slot in ("", entry.slot.name)]
    if not found:
        _not_found(catalogue, name)
    if len(found) > 1:
        fail(f"there are {' and '.join(map(_full_name, found))}; say which", status=USAGE)
    return found[0]


def _not_found(catalogue: Catalogue, name: str) -> NoReturn:
    if reason := catalogue.broken.get(name):
        fail(f"{name} is broken: {reason}")
    if brought := [_full_name(entry) for entry in catalogue if entry.plugin == name]:
        fail(f"the plugin {name!r} brings {', '.join(brought)}; say which", status=USAGE)
    from swarmgate.config.faults import suggest

    known = map(_full_name, catalogue) if "/" in name else (entry.part.name for entry in catalogue)
    fail(f"no part is called {name!r}; {suggest(name, known)}", status=USAGE)


def _full_name(entry: Entry) -> str:
    return f"{entry.slot.name}/{entry.part.name}"
