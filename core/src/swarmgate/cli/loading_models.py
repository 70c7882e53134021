"""``gateway models load`` and ``unload``: orders to the running gateway, and how it goes on with them."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from typing import Any

import click
import msgspec

from swarmgate.cli.output import expected_errors, fail, print_json
from swarmgate.cli.reading import config_option, json_option, settings_of
from swarmgate.cli.running import ask, ask_running, reason_of
from swarmgate.cli.verbs import examples
from swarmgate.config.settings import Settings
from swarmgate.http.wire.models import Ordered
from swarmgate.http.wire.swarm import PlacedModel

_OK = 200
#: How long an order may take until it is accepted (the head of a large file is read for it), and how often it is looked
#: how it goes on, in seconds.
_ORDER_SECONDS, _LOOK_SECONDS = 60.0, 0.2
_CLEAR = "\x1b[K"


@click.command(
    epilog=examples(
        "gateway models load qwen",
        "gateway models load bartowski/Llama-3.2-1B-Instruct-GGUF/Llama-3.2-1B-Instruct-Q4_K_M.gguf --name llama",
        "gateway models load qwen.gguf --set context_size=32768 --set slots=2",
    )
)
@click.argument("model")
@click.option("--name", metavar="NAME", help="What clients call it, for a file.")
@click.option(
    "--set",
    "options",
    metavar="OPTION=VALUE",
    multiple=True,
    help='An option of `use = "llamacpp"`, for a file; may be given several times.',
)
@json_option
@config_option
def load(model: str, name: str | None, options: tuple[str, ...], file: str | None, *, as_json: bool) -> None:
    """Load MODEL: one that was unloaded or has failed, or a file of the models folder.

    The status is 1 if it cannot be loaded.  If only memory or workers are missing it is loaded once they are there;
    `gateway models unload` gives up.
    """
    with expected_errors():
        settings, _ = settings_of(file, {})
        order: dict[str, Any] = {"model": model, "options": _given(options)} | ({"name": name} if name else {})
        names = ordered(settings, "/v1/models/load", order).models
        told = _until(settings, names, ends=frozenset({"loaded", "failed", "waiting", "unloaded"}))
    if told.state != "loaded":
        later = "; it will be loaded once it can" if told.state == "waiting" else ""
        fail(f"{', '.join(names)} is not loaded: {told.reason or told.state}{later}")
    if as_json:
        print_json(Ordered(models=names, state="loaded"))
    else:
        click.echo(f"{', '.join(names)}: loaded")


@click.command(epilog=examples("gateway models unload qwen", "gateway models unload qwen --force"))
@click.argument("model")
@click.option("--force", is_flag=True, help="Interrupt its answers instead of letting them finish.")
@click.option("--forget", is_flag=True, help="Take it off the list too, if it was loaded at run time.")
@json_option
@config_option
def unload(model: str, file: str | None, *, force: bool, forget: bool, as_json: bool) -> None:
    """Unload MODEL: its answers are finished, then its memory and its workers are free.

    It stays listed, and is loaded again by `gateway models load`, not by being asked for.
    """
    with expected_errors():
        settings, _ = settings_of(file, {})
        names = ordered(settings, "/v1/models/unload", {"model": model, "force": force, "wait": False}).models
        _until(settings, names, ends=frozenset({"unloaded", "failed"}))
        if forget:
            ordered(settings, "/v1/models/unload", {"model": names[0], "forget": True})
    if as_json:
        print_json(Ordered(models=names, state="unloaded"))
    else:
        click.echo(f"{', '.join(names)}: {'forgotten' if forget else 'unloaded'}")


def ordered(settings: Settings, path: str, order: dict[str, Any]) -> Ordered:
    """Return what the running gateway says of *order*; end the command with its refusal if it refuses."""
    said = ask(settings, path, {"wait": False, **order}, seconds=_ORDER_SECONDS)
    if not said.status:
        fail(f"no gateway runs at {said.url}; start one with `gateway run`, or name its configuration with --config")
    if said.status != _OK:
        fail(reason_of(said))
    return msgspec.json.decode(said.body, type=Ordered)


def _until(settings: Settings, names: list[str], *, ends: frozenset[str]) -> PlacedModel:
    """Return what is said of the models called *names* once they are in one of the states *ends*, and show the way."""
    terminal = sys.stderr.isatty()
    pause = threading.Event()
    while True:
        models = [model for model in _models(settings) if model.name in names]
        if not models:
            fail(f"the gateway knows {', '.join(names)} no longer")
        worst = next((model for model in models if model.state not in ends), models[0])
        if worst.state in ends:
            if terminal:
                click.echo(f"\r{_CLEAR}", nl=False, err=True)
            return next((model for model in models if model.state == "failed"), worst)
        if terminal:
            click.echo(f"\r{_CLEAR}{worst.name}: {worst.state}{_percent(worst)}", nl=False, err=True)
        pause.wait(_LOOK_SECONDS)


def _models(settings: Settings) -> Iterator[PlacedModel]:
    running = ask_running(settings)
    if running.swarm is None:
        fail(running.fault or f"the gateway at {running.url} has stopped")
    yield from running.swarm.models


def _percent(model: PlacedModel) -> str:
    return f" {model.progress:.0%}" if isinstance(model.progress, float) else ""


def _given(options: tuple[str, ...]) -> dict[str, str]:
    for each in options:
        if not each.partition("=")[1]:
            raise click.BadParameter(f"{each!r} is no OPTION=VALUE", param_hint="--set")
    return {name: value for name, _, value in (each.partition("=") for each in options)}
