"""``gateway logs``: what the running gateway logged lately, and what it logs from now on."""

from __future__ import annotations

import os
import re
from datetime import datetime
from urllib.parse import urlencode

import click
import msgspec

from swarmgate.cli.output import expected_errors, fail, printable
from swarmgate.cli.reading import config_option, json_option, read
from swarmgate.cli.running import asked
from swarmgate.cli.streaming import Gone, following
from swarmgate.cli.verbs import examples
from swarmgate.config.settings import Settings
from swarmgate.http.wire.logs import LogEvent, LogList

_PATH = "/v1/logs"
_ABLE = "tell its log"
_SPAN = re.compile(r"([0-9]{1,9})(s|m|h|d)?", re.ASCII)
_SECONDS = {None: 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
_MOST_SECONDS = 999_999_999
_COLOURS = {"debug": "bright_black", "warning": "yellow", "error": "red", "critical": "red"}
#: What may stand after `=` as it is; all else is quoted.
_BARE = re.compile(r"[^\s\"'=]+")


def _span(ctx: click.Context, param: click.Parameter, value: str | None) -> int | None:
    """Return the seconds of *value*, a number of them or one with a unit."""
    if value is None:
        return None
    if not (found := _SPAN.fullmatch(value)):
        raise click.BadParameter(f"expected a span such as 90s, 5m, 2h or 1d, found {value!r}", ctx, param)
    return min(int(found[1]) * _SECONDS[found[2]], _MOST_SECONDS)


@click.command(
    epilog=examples("gateway logs", "gateway logs --follow --level warning", "gateway logs --since 5m --json")
)
@click.option("-f", "--follow", is_flag=True, help="Go on with what is logged from now on, until Ctrl-C.")
@click.option(
    "--level", type=click.Choice(["debug", "info", "warning", "error"]), help="The least severe kind that is shown."
)
@click.option("--since", callback=_span, metavar="SPAN", help="Only what is younger: 90s, 5m, 2h or 1d.")
@click.option("-n", "--lines", type=click.IntRange(1, 100_000), metavar="N", help="Only the last N.")
@json_option
@config_option
def logs(
    file: str | None, *, follow: bool, level: str | None, since: int | None, lines: int | None, as_json: bool
) -> None:
    """Show what the gateway that runs at the configured address logged lately.

    It remembers the last kept_log_events, of the kinds that its log_level lets through.  With --json each event is a
    line.  --follow outlasts the gateway's being started anew.

    The status is 1 if no gateway runs there.
    """
    with expected_errors():
        blueprint, _, _ = read(file, local=False)
    settings = blueprint.settings
    query = {"level": level, "seconds": since, "limit": lines}
    given = {name: str(value) for name, value in query.items() if value is not None}
    if follow:
        try:
            _follow(settings, given, as_json=as_json)
        except KeyboardInterrupt:
            return
    listed = asked(settings, f"{_PATH}?{urlencode(given)}", LogList, able=_ABLE)
    if not listed.kept:
        fail("this gateway remembers no log events; set kept_log_events in [gateway] above 0")
    for event in listed.data:
        print_event(event, as_json=as_json)


def _follow(settings: Settings, given: dict[str, str], *, as_json: bool) -> None:
    last = ""

    def path() -> str:
        """Ask for all that comes after what was shown last; the first time, for what is wanted of the past."""
        asked_for = {"since": last, "level": given.get("level", "debug")} if last else given
        return f"{_PATH}?{urlencode({**asked_for, 'follow': 'true'})}"

    for each in following(settings, path, able=_ABLE):
        if isinstance(each, Gone):
            click.echo(f"the gateway at {each.url} is not running; trying again", err=True)
            continue
        event = msgspec.json.decode(each.data, type=LogEvent)
        last = event.id
        print_event(event, as_json=as_json)


def print_event(event: LogEvent, *, as_json: bool) -> None:
    """Print *event* in a line, its level in colour where a terminal shows it."""
    if as_json:
        click.echo(msgspec.json.encode(event))
        return
    level, colour = f"{event.level:<8}", _COLOURS.get(event.level)
    if colour and not os.environ.get("NO_COLOR"):  # no-color.org
        level = click.style(level, fg=colour)
    click.echo(f"{_time(event.at)}  {level}  {text_of(event)}")


def text_of(event: LogEvent) -> str:
    """Return *event* as people read it: its name and its facts; a traceback on lines of its own."""
    facts = dict(event.facts)
    exception = str(facts.pop("exception", ""))
    words = " ".join(f"{printable(key)}={_fact(value)}" for key, value in facts.items())
    below = (f"    {printable(line)}" for line in exception.splitlines())
    return "\n".join((f"{printable(event.event)} {words}".rstrip(), *below))


def _fact(value: object) -> str:
    if isinstance(value, str) and value.isprintable() and _BARE.fullmatch(value):
        return value
    return msgspec.json.encode(printable(value) if isinstance(value, str) else value).decode()


def _time(at: str) -> str:
    try:
        return f"{datetime.fromisoformat(at).astimezone():%Y-%m-%d %H:%M:%S}"
    except ValueError:
        return printable(at)
