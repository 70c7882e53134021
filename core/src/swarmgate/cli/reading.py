"""Reads the configuration for the verbs that need it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, get_args

import click

from swarmgate.config.blueprint import Blueprint, draw, draw_settings
from swarmgate.config.layers import PREFIX, Sources, gather
from swarmgate.config.settings import Settings
from swarmgate.config.tickets import VARIABLES
from swarmgate.plugins import Catalogue, load
from swarmgate.split import Placement

CommandT = TypeVar("CommandT", bound=Callable[..., Any])


def config_option(command: CommandT) -> CommandT:
    """Give *command* the option ``--config``."""
    return click.option(
        "-c",
        "--config",
        "file",
        metavar="FILE",
        envvar="GATEWAY_CONFIG",
        type=click.Path(),
        help="Read this file, instead of ./gateway.toml and the user's own.",
    )(command)


def placement_option(command: CommandT) -> CommandT:
    """Give *command* the option ``--placement``."""
    return click.option(
        "--placement",
        type=click.Choice(get_args(Placement)),
        help="Where models go that do not say so themselves: here if they fit and else split, here, or split.",
    )(command)


def swarm_options(command: CommandT) -> CommandT:
    """Give *command* the options by which a node joins a swarm."""
    options = (
        click.option("--p2p", is_flag=True, help="Join the swarm of the token given, else of the one kept here."),
        click.option(
            "--p2ptoken",
            "--p2p-token",
            "--token",
            "token",
            metavar="TOKEN",
            help="Join the swarm of this token (or invite).",
        ),
        click.option(
            "--token-file",
            metavar="FILE",
            type=click.Path(),
            help="Join by the token in this file: unlike an argument, it is not seen by others on this machine.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


def settings_of(file: str | None, flags: Mapping[str, Any]) -> tuple[Settings, str]:
    """Return the gateway's own settings, and where a token was given; empty if none was.

    Raises:
        FaultyConfig: with everything that is wrong with them.

    """
    settings, origins = draw_settings(gather(flags, os.environ, config=file))
    return settings, origins["token"] if settings.token else ""


def forget_token(settings: Settings) -> None:
    """Take the token that *settings* were given out of the environment, lest children inherit it."""
    if settings.p2p:
        for variable in (f"{PREFIX}TOKEN", *VARIABLES):
            os.environ.pop(variable, None)


def json_option(command: CommandT) -> CommandT:
    """Give *command* the option ``--json``."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")(command)


def read(
    file: str | None, flags: Mapping[str, Any] | None = None, *, local: bool = True
) -> tuple[Blueprint, Sources, Catalogue]:
    """Draw the blueprint from flags, environment and files; unless *local*, without models of this machine.

    Raises:
        FaultyConfig: with everything that is wrong.

    """
    catalogue = load()
    sources = gather(flags or {}, os.environ, config=file)
    return draw(sources, catalogue, local=local), sources, catalogue
