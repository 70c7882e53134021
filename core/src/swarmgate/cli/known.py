"""What the running gateway knows by name: models and nodes, also for a shell that completes them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass

import click
import msgspec

from swarmgate.cli.output import fail
from swarmgate.cli.running import address_of, ask, ask_running, asked
from swarmgate.config.settings import Settings
from swarmgate.errors import SwarmgateError

_PATH = "/v1/models"


@dataclass(frozen=True, slots=True)
class Known:
    """A model that is served: by itself, or by another gateway."""

    name: str
    aliases: tuple[str, ...]
    abilities: frozenset[str]
    ready: bool


class _Meta(msgspec.Struct):
    ready: bool = True
    abilities: tuple[str, ...] = ("chat",)


class _Model(msgspec.Struct):
    id: str
    meta: _Meta = msgspec.field(default_factory=_Meta)
    aliases: list[str] = []


class _Models(msgspec.Struct):
    data: list[_Model]


def served(settings: Settings, *, able: str) -> list[Known]:
    """Return the models that the running gateway serves; end the command with status 1 if none runs."""
    return _known(asked(settings, _PATH, _Models, able=able))


def chosen(settings: Settings, model: str | None, *, able: str) -> str:
    """Return the *model* that is meant, by default the first that is ready; end the command if there is none."""
    models = served(settings, able=able)
    chatting = [each for each in models if "chat" in each.abilities]
    if model is None:
        ready = [each for each in chatting if each.ready] or chatting
        if not ready:
            fail(f"the gateway at {address_of(settings)} serves no model that chats")
        return ready[0].name
    if not any(model in (each.name, *each.aliases) for each in models):
        fail(f"no model is called {model!r}; there are: {', '.join(each.name for each in models) or 'none'}")
    return model


def complete_models(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Return the names of models that begin so; none if no gateway runs."""
    settings = _settings(ctx)
    said = ask(settings, _PATH) if settings is not None else None
    try:
        models = _known(msgspec.json.decode(said.body, type=_Models)) if said is not None else []
    except msgspec.MsgspecError:
        return []
    return _beginning(incomplete, (name for each in models for name in (each.name, *each.aliases)))


def complete_nodes(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Return the names of nodes that begin so; none if no gateway runs."""
    settings = _settings(ctx)
    swarm = ask_running(settings).swarm if settings is not None else None
    return _beginning(incomplete, (node.node or node.name for node in swarm.nodes) if swarm is not None else ())


def _known(models: _Models) -> list[Known]:
    return [
        Known(each.id, tuple(each.aliases), frozenset(each.meta.abilities), each.meta.ready) for each in models.data
    ]


def _beginning(incomplete: str, names: Iterable[str]) -> list[str]:
    return sorted({name for name in names if name.startswith(incomplete)})


def _settings(ctx: click.Context) -> Settings | None:
    """Return the settings of the command being typed; None if they cannot be read: a shell wants no faults."""
    from swarmgate.config.blueprint import draw_settings
    from swarmgate.config.layers import gather

    try:
        return draw_settings(gather({}, os.environ, config=ctx.params.get("file")))[0]
    except SwarmgateError:
        return None
