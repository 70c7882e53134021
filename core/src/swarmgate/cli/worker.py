"""``gateway worker``: this machine lends what it has.  Every installed lender is a verb of it."""

from __future__ import annotations

import os
import sys
from functools import partial
from typing import Any

import click
import msgspec

from swarmgate.announcements import Announcement, Lending
from swarmgate.cli.output import USAGE, expected_errors, fail
from swarmgate.cli.reading import config_option, forget_token, json_option, swarm_options
from swarmgate.cli.run import Teller
from swarmgate.cli.sparing import without
from swarmgate.cli.verbs import examples
from swarmgate.config.fields import OptionField, fields_of
from swarmgate.parts import WORKER
from swarmgate.plugins import Entry, load

#: Settings of the gateway's own that mean something to a worker.
_SETTINGS = {
    "name": "What this machine is called among others.",
    "state_dir": "Folder for what survives a restart.",
    "log_level": "The least severe kind of event that is logged.",
    "log_format": "How log lines look.",
}


#: LocalAI's way to say that a worker is in a swarm: before the name.
_IN_SWARM = "p2p-"


class Lenders(click.Group):
    """The installed lenders, as commands with the options of each; dashes in names mean underscores.

    With ``p2p-`` before its name a lender joins a swarm, as with ``--p2p``.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return their names as one would type them."""
        return [_typed(name) for name in load().names(WORKER)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command that opens the lender called *cmd_name*."""
        catalogue = load()
        typed = _typed(cmd_name)
        for name in catalogue.names(WORKER):
            if typed in (_typed(name), f"{_IN_SWARM}{_typed(name)}"):
                return _command(catalogue.find(WORKER, name), in_swarm=typed != _typed(name))
        return None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the lender that is meant, or say which there are."""
        if self.get_command(ctx, args[0]) is None and not args[0].startswith("-"):
            fail(
                f"no lender is called {args[0]!r}; installed: {', '.join(self.list_commands(ctx)) or 'none'}",
                status=USAGE,
            )
        return super().resolve_command(ctx, args)


@click.group(
    cls=Lenders,
    epilog=examples(
        "gateway worker llama-cpp-rpc --listen 0.0.0.0:50052 --memory-mb 4096",
        'gateway worker llama-cpp-rpc --llama-cpp-args="-H 0.0.0.0 -p 50052 -m 4096"',
        "TOKEN=... gateway worker p2p-llama-cpp-rpc",
    ),
)
def worker() -> None:
    """Lend this machine's memory and compute to gateways elsewhere.

    What a lender is not told by its options comes from GATEWAY_WORKER_* environment variables, or from
    the table [worker] of gateway.toml.
    """


def _command(entry: Entry, *, in_swarm: bool = False) -> click.Command:
    fields = fields_of(entry.part.options)
    name = _typed(entry.part.name)
    samples = [
        f"gateway worker {name} --{_typed(each.name)} {_quoted(each.example)}"
        for each in fields.values()
        if each.example
    ]
    command = click.Command(
        name,
        params=[_option(each) for each in fields.values()],
        callback=partial(_run, entry, in_swarm=in_swarm),
        help=f"{entry.part.summary} Until SIGINT or SIGTERM.",
        short_help=entry.part.summary,
        epilog=examples(*(samples or [f"gateway worker {name}"])),
    )
    for setting in [each for each in _SETTINGS if each not in fields]:
        command.params.append(
            click.Option([f"setting_{setting}", f"--{_typed(setting)}"], metavar="TEXT", help=_SETTINGS[setting])
        )
    ours = {each.name for each in command.params}
    joining = swarm_options(click.Command(None)).params
    command.params += [each for each in reversed(joining) if f"option_{each.name}" not in ours]
    return config_option(json_option(command))


def _option(field: OptionField) -> click.Option:
    typed = _typed(field.name)
    said = "" if field.required or field.default in (None, "") else f"  [default: {_shown(field.default)}]"
    if isinstance(field.default, bool):
        return click.Option([f"option_{field.name}", f"--{typed}/--no-{typed}"], default=None, help=field.help + said)
    # the configuration's own reader converts and judges what is given, here as in a file
    return click.Option([f"option_{field.name}", f"--{typed}"], metavar=_metavar(field), help=field.help + said)


def _run(entry: Entry, file: str | None, *, as_json: bool, in_swarm: bool, **given: Any) -> None:
    with expected_errors():
        options = {name.removeprefix("option_"): each for name, each in given.items() if name.startswith("option_")}
        settings = {
            name.removeprefix("setting_"): each for name, each in given.items() if not name.startswith("option_")
        }
        settings["p2p"] = in_swarm or given.get("p2p") or None
        _lend(entry.part.name, file, _said(settings), _said(options), as_json=as_json)


def _lend(name: str, file: str | None, settings: dict[str, Any], options: dict[str, Any], *, as_json: bool) -> None:
    from swarmgate.config.blueprint import draw_worker
    from swarmgate.config.layers import gather

    blueprint = draw_worker(gather(settings, os.environ, config=file), load(), name, options)
    forget_token(blueprint.settings)
    import anyio

    with without("rich"):  # as `gateway run` does
        from swarmgate import logs
    from swarmgate import lending

    logs.configure(blueprint.settings.log_format, blueprint.settings.log_level)
    announce = _tell_json if as_json else Teller(sys.stdout)
    anyio.run(
        partial(lending.run, blueprint, announce=announce),
        backend="asyncio",
        backend_options={"use_uvloop": sys.platform != "win32"},
    )


def _tell_json(what: Announcement) -> None:
    """Print what is lent as one line of JSON; other things are for people, and in the log."""
    if isinstance(what, Lending):
        endpoint = what.loan.endpoint
        facts = {"part": what.part, "host": endpoint.host, "port": endpoint.port, "address": what.address}
        click.echo(msgspec.json.encode({**facts, "pid": os.getpid(), "labels": what.loan.labels}))


def _said(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def _typed(name: str) -> str:
    return name.replace("_", "-")


def _metavar(field: OptionField) -> str:
    if field.path:
        return "PATH"
    return "N" if "number" in field.kind else "TEXT"


def _quoted(text: str) -> str:
    return f'"{text}"' if " " in text else text


def _shown(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
