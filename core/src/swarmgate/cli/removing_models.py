"""``gateway models rm``: a model is deleted from the models folder."""

from __future__ import annotations

from pathlib import Path

import click

from swarmgate.cli.listing_models import ListedModel, listed
from swarmgate.cli.output import expected_errors, fail
from swarmgate.cli.reading import config_option, settings_of
from swarmgate.cli.running import ask
from swarmgate.cli.verbs import examples
from swarmgate.modelfiles import ModelFile, find, scan
from swarmgate.sizes import readable

_OK = 200


@click.command("rm", epilog=examples("gateway models rm qwen", "gateway models rm org/repo/qwen-Q4_K_M.gguf --yes"))
@click.argument("name")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@config_option
def remove(name: str, file: str | None, *, yes: bool) -> None:
    """Delete NAME, a file of the models folder, with all its parts; what a gateway has loaded stays."""
    with expected_errors():
        settings, _ = settings_of(file, {})
        folder = settings.models_path()
        model = find(scan(folder), name)
        if model is None:
            names = ", ".join(each.name for each in scan(folder)) or "none"
            fail(f"no file in {folder} is called {name!r}; there are: {names}")
        holder = next((each for each in listed(settings)[0].models if each.file == model.name and each.slots), None)
        if holder is not None and holder.state not in {"unloaded", "failed"}:
            fail(f"{model.name} is loaded as {holder.name!r}; `gateway models unload {holder.name}` first")
    if not yes:
        click.confirm(f"delete {model.name} ({readable(model.size)})?", abort=True)
    _delete(folder, model)
    click.echo(f"{model.name}: deleted")
    if holder is not None:
        _forget(holder, ask(settings, "/v1/models/unload", {"model": holder.name, "forget": True}).status)


def _delete(folder: Path, model: ModelFile) -> None:
    """Delete the parts of *model*, the first one last, and the folders that are empty then."""
    for part in reversed(model.parts):
        (folder / part).unlink(missing_ok=True)
    for above in (folder / model.name).parents:
        if above == folder or any(above.iterdir()):
            return
        above.rmdir()


def _forget(holder: ListedModel, status: int) -> None:
    if status != _OK:
        click.echo(f"note: {holder.name!r} is in the configuration of the running gateway, which cannot load it now")
