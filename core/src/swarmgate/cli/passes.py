"""What the verbs of ``gateway token`` share: the pass in use here, and what is told of passes."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

import click
import msgspec

from swarmgate.cli.reading import settings_of
from swarmgate.config.settings import Settings
from swarmgate.errors import ConfigError
from swarmgate.joining import ticket_of
from swarmgate.swarm.facts import PassFacts
from swarmgate.swarm.token import Invite, Token

state_option = click.option(
    "--state-dir", metavar="FOLDER", type=click.Path(), help="Folder where the gateway keeps its token."
)


def chosen(file: str | None, state_dir: str | None) -> tuple[Settings, str]:
    """Return the settings, for a machine in a swarm, and where the token was given, empty if it is the one kept."""
    flags: dict[str, Any] = {} if state_dir is None else {"state_dir": state_dir}
    settings, origin = settings_of(file, flags)
    return msgspec.structs.replace(settings, p2p=True), origin


def ticket_in_use(settings: Settings) -> Token | Invite:
    """Return the token or invite that counts here.

    Raises:
        ConfigError: there is none, or it is damaged.

    """
    ticket = ticket_of(settings)
    if ticket is None:  # it is asked for with p2p set
        raise ConfigError("this machine has no token")
    return ticket


def owned_token(settings: Settings, what: str) -> Token:
    """Return the token that counts here; *what* says what for, in words.

    Raises:
        ConfigError: there is none, or this machine has an invite, which is not enough.

    """
    ticket = ticket_in_use(settings)
    if isinstance(ticket, Invite):
        raise ConfigError(
            f"this machine is in its swarm by an invite and cannot {what}: do it on one that holds the token"
        )
    return ticket


def make_folder(settings: Settings) -> None:
    """Make the state folder: a token that was given is used before a gateway ever ran here."""
    folder = settings.state_path()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"the state folder {folder} cannot be used: {error.strerror or error}") from None


def told(facts: PassFacts, *, now: float) -> str:
    """Return *facts* in words; *now* is in Unix seconds."""
    if facts.kind == "token":
        return f"the token of the swarm {facts.swarm}: whoever has it may do everything, and let others in"
    end = facts.until or 0.0
    when = f"until {day(end)}" if end >= now else f"which ended on {day(end)}"
    return f"an invite into the swarm {facts.swarm} for {facts.peer} as a {facts.role}, {when}"


def day(seconds: float) -> str:
    """Return a moment, in Unix seconds, as people write it."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def now_by_calendar() -> float:
    """Return the Unix seconds."""
    return time.time()  # noqa: TID251  # certificates end by the calendar
