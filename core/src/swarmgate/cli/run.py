"""``gateway run``: the house opens."""

from __future__ import annotations

import sys
from functools import partial
from typing import Any, TextIO

import click

from swarmgate.announcements import Announcement, Progress
from swarmgate.cli.output import expected_errors
from swarmgate.cli.reading import CommandT, config_option, forget_token, placement_option, read, swarm_options
from swarmgate.cli.sparing import without
from swarmgate.cli.verbs import examples

_CLEAR = "\x1b[K"
_LEVELS = ("debug", "info", "warning", "error")
_FORMATS = ("auto", "console", "json")


def serving_options(command: CommandT) -> CommandT:
    """Give *command* the options that every command has that serves."""
    options = (
        config_option,
        click.option(
            "--node",
            metavar="URL",
            multiple=True,
            help="Let this gateway, or other OpenAI server, answer too; may be given several times.",
        ),
        click.option("--listen", metavar="ADDRESS:PORT", help="Serve HTTP here; port 0 takes a free one."),
        click.option("--name", metavar="NAME", help="What this gateway is called among others."),
        click.option("--api-key-file", metavar="FILE", type=click.Path(), help="Ask for one of the keys in this file."),
        click.option("--log-level", type=click.Choice(_LEVELS), help="The least severe kind of event that is logged."),
        click.option("--log-format", type=click.Choice(_FORMATS), help="How log lines look."),
        click.option("--state-dir", metavar="FOLDER", type=click.Path(), help="Folder for what survives a restart."),
        click.option("--balancer", metavar="NAME", help="The part that decides who answers a request."),
        swarm_options,
    )
    for option in reversed(options):
        command = option(command)
    return command


@click.command(
    epilog=examples(
        "gateway run",
        "gateway run --model ~/models/qwen.gguf --listen 0.0.0.0:8080 --api-key-file keys.txt",
        "GATEWAY_MODEL=a.gguf,b.gguf gateway run",
        "gateway run --federated --node http://10.0.0.9:8080",
        "gateway run --p2p",
    )
)
@serving_options
@click.option(
    "--model",
    metavar="FILE",
    multiple=True,
    help="Serve this GGUF file instead of the configured backends; may be given several times.",
)
@placement_option
@click.option("--federated", is_flag=True, help="Let gateways that are offered, by whatever discovery, answer too.")
def run(file: str | None, **options: Any) -> None:
    """Serve the configured models over HTTP, until SIGINT or SIGTERM.

    Flags come before GATEWAY_* environment variables, these before ./gateway.toml, this before the
    user's own gateway.toml, this before the defaults.  `gateway config show` says what comes of it.
    """
    with expected_errors():
        serve_by(file, given(options))


def given(options: dict[str, Any]) -> dict[str, Any]:
    """Return those *options* that were given on the command line."""
    return {name: value for name, value in options.items() if value not in (None, (), False)}


def serve_by(file: str | None, flags: dict[str, Any], *, local: bool = True) -> None:
    """Serve what *file* and *flags* say; unless *local*, without models of this machine."""
    blueprint, _, catalogue = read(file, flags, local=local)
    forget_token(blueprint.settings)
    import anyio

    with without("rich"):  # for tracebacks with everybody's variables in them, which are never made: see `logs`
        import structlog

    from swarmgate import logs, serve
    from swarmgate.journal import Journal

    journal = Journal(blueprint.settings.kept_log_events)
    logs.configure(blueprint.settings.log_format, blueprint.settings.log_level, keep=journal)
    for name, reason in catalogue.broken.items():
        structlog.get_logger("swarmgate.plugins").warning("plugins.broken", plugin=name, reason=str(reason))
    anyio.run(
        partial(serve.run, blueprint, announce=Teller(sys.stdout), journal=journal),
        backend="asyncio",
        backend_options={"use_uvloop": sys.platform != "win32"},
    )


class Teller:
    """Tells whoever started the gateway how it comes along, on *out*.

    On a terminal progress stays on one line, elsewhere every tenth is told.  A reason to wait is told once, however
    often the numbers in it change.
    """

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._terminal = out.isatty()
        self._told = ""
        self._gists: dict[str, str] = {}

    def __call__(self, what: Announcement) -> None:
        """Tell *what*."""
        if isinstance(what, Progress):
            known, self._gists[what.name] = self._gists.get(what.name), what.gist
            if what.percent is not None:
                self._progress(str(what), what.percent)
                return
            if known == what.gist:
                return
        self._write(f"{_CLEAR if self._terminal else ''}{what}\n")

    def _progress(self, text: str, percent: int) -> None:
        if self._terminal:
            self._write(f"{_CLEAR}{text}\r")  # whatever comes next is written over it
            return
        tenth = text.replace(f"{percent}%", f"{percent // 10 * 10}%")
        if tenth != self._told:
            self._told = tenth
            self._write(f"{tenth}\n")

    def _write(self, text: str) -> None:
        try:
            self._out.write(text)
            self._out.flush()
        except BrokenPipeError:
            pass  # nobody listens any more; that is no reason to stop serving
