"""``gateway models list``: what the running gateway serves, and what lies in the models folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
import msgspec

from swarmgate.cli.output import expected_errors, print_json, print_table, printable
from swarmgate.cli.reading import config_option, json_option, settings_of
from swarmgate.cli.running import ask, reason_of
from swarmgate.cli.verbs import examples
from swarmgate.config.settings import Settings
from swarmgate.http.wire.models import ModelDocument, ModelList, file_document
from swarmgate.http.wire.swarm import PlacedModel, SwarmDocument
from swarmgate.modelfiles import scan
from swarmgate.sizes import readable

_HEAD = ("name", "state", "where", "slots", "context", "size", "quantization")
_UNKNOWN = "-"
_OK = 200


class ListedModel(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A model as this verb tells it to programs; sizes in bytes, *progress* from 0 to 1."""

    name: str
    state: str
    progress: float | None = None
    reason: str = ""
    where: list[str] = []
    slots: int = 0
    context_length: int = 0
    size: int = 0
    quantization: str = ""
    file: str = ""


class Listed(msgspec.Struct, kw_only=True):
    """All models: of the *gateway* that runs at that URL, None if none does, and of the models *folder*."""

    gateway: str | None
    folder: str
    models: list[ListedModel]


@click.command("list", epilog=examples("gateway models list", "gateway models list --json"))
@config_option
@json_option
def listing(file: str | None, *, as_json: bool) -> None:
    """Show what the running gateway serves, and what lies in the models folder.

    Without a gateway that runs, the folder alone.
    """
    with expected_errors():
        settings, _ = settings_of(file, {})
        found, fault = listed(settings)
    if as_json:
        print_json(found)
        return
    if found.gateway is None:
        click.echo(fault)
        click.echo()
    if not found.models:
        click.echo(f"there is no model in {found.folder}; `gateway models pull` brings one")
        return
    print_table([_HEAD, *map(_row, found.models)])
    click.echo()
    click.echo(f"models folder: {found.folder}")


def listed(settings: Settings) -> tuple[Listed, str]:
    """Return all models, and why there are none of a gateway if that is so."""
    folder = settings.models_path()
    said = ask(settings, "/models")
    if said.status != _OK:
        nobody = f"no gateway runs at {said.url}; `gateway run` starts one"
        here = [_file(file_document(each)) for each in scan(folder)]
        fault = nobody if not said.status else f"the gateway at {said.url} does not tell its models: {reason_of(said)}"
        return Listed(gateway=None, folder=str(folder), models=here), fault
    told = msgspec.json.decode(said.body, type=ModelList)
    swarm = ask(settings, "/v1/swarm")
    known = msgspec.json.decode(swarm.body, type=SwarmDocument).models if swarm.status == _OK else []
    placed = {model.name: model for model in sorted(known, key=lambda model: model.ready)}
    return Listed(
        gateway=said.url,
        folder=str(folder),
        models=[_model(model, placed.get(model.id)) if model.meta.slots else _file(model) for model in told.data],
    ), ""


def _model(model: ModelDocument, placed: PlacedModel | None) -> ListedModel:
    status = model.status.value if model.status else "loaded"
    meta = model.meta
    return ListedModel(
        name=model.id,
        state=placed.state if placed else status,
        progress=meta.progress or None,
        reason="" if meta.ready else meta.reason or "",
        where=list(_where(placed)) if placed else ["elsewhere"],
        slots=meta.slots,
        context_length=model.context_length or 0,
        size=meta.size or 0,
        quantization=meta.quantization or "",
        file=model.file or "",
    )


def _file(model: ModelDocument) -> ListedModel:
    meta = model.meta
    return ListedModel(
        name=model.id,
        state="not loaded",
        reason="" if meta.reason == "is not loaded" else meta.reason or "",
        size=meta.size or 0,
        quantization=meta.quantization or "",
        file=model.file or "",
    )


def _where(placed: PlacedModel) -> Iterator[str]:
    for place in placed.places if placed.ready else ():
        layers = f" {place.first_layer}-{place.last_layer}" if place.first_layer is not None else ""
        yield f"{place.place}{layers}"


def _row(model: ListedModel) -> tuple[str, ...]:
    state = model.state if model.progress is None else f"{model.state} {model.progress:.0%}"
    if model.reason and model.state in {"failed", "waiting", "not loaded"}:
        state += f": {model.reason}"
    cells = (
        model.name,
        state,
        ", ".join(model.where),
        str(model.slots or ""),
        str(model.context_length or ""),
        readable(model.size) if model.size else "",
        model.quantization,
    )
    return tuple(printable(cell) or _UNKNOWN for cell in cells)


def folder_of(settings: Settings) -> Path:
    """Return the models folder, made if it is not there."""
    folder = settings.models_path()
    folder.mkdir(parents=True, exist_ok=True)
    return folder
