"""``gateway models pull``: a model is brought into the models folder."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from swarmgate.cli.listing_models import folder_of
from swarmgate.cli.output import expected_errors
from swarmgate.cli.reading import config_option, settings_of
from swarmgate.cli.verbs import examples
from swarmgate.errors import PullError
from swarmgate.modelfiles import ENDING
from swarmgate.sizes import readable


@click.command(
    epilog=examples(
        "gateway models pull bartowski/Llama-3.2-1B-Instruct-GGUF:Q4_K_M",
        "gateway models pull huggingface://TheBloke/phi-2-GGUF/phi-2.Q8_0.gguf",
        "gateway models pull https://example.org/models/qwen.gguf",
        "gateway models pull ~/Downloads/qwen.gguf",
    )
)
@click.argument("model")
@config_option
def pull(model: str, file: str | None) -> None:
    """Bring MODEL into the models folder.

    It is ORG/REPO of a Hugging Face hub, with the type of weights it shall have (ORG/REPO:Q4_K_M) or the file
    (ORG/REPO/FILE.gguf); behind hf:// or huggingface:// too; or an https:// address; or a path, which is linked if it
    is on the same disk and copied otherwise.

    What is cut off is gone on with by the same command.  A file is there only once it is whole, and has the hash that
    the hub tells.  HF_TOKEN lets you in where a token is asked for, HF_ENDPOINT names another hub.
    """
    with expected_errors():
        settings, _ = settings_of(file, {})
        try:
            brought = _bring(model, folder_of(settings))
        except OSError as error:
            raise PullError(f"it cannot be written: {error.strerror or error}; look at models_dir") from None
    name = brought[0].removesuffix(ENDING)
    click.echo(f"{name}: there; `gateway models load {name}` loads it, or `gateway run --model {name}`")


def _bring(model: str, folder: Path) -> list[str]:
    """Return what the files of *model* are called in *folder* once they are there."""
    if not sys.stderr.isatty():
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    from swarmgate.pulling import here, hub, web
    from swarmgate.pulling.bringing import bring, check_room, is_there
    from swarmgate.pulling.wanted import FromHere, FromHub, read_wanted

    wanted = read_wanted(model, os.path.isfile, endpoint=hub.endpoint())
    if isinstance(wanted, FromHere):
        files = here.parts_at(Path(wanted.path))
        linked = [here.link(file, folder / file.name) for file in files]
        parcels = tuple(here.copied(file) for file, done in zip(files, linked, strict=True) if not done)
        names = [file.name for file in files]
    else:
        parcels = hub.parcels(wanted) if isinstance(wanted, FromHub) else (web.parcel(wanted),)
        names = [parcel.target for parcel in parcels]
    missing = [parcel for parcel in parcels if not is_there(folder, parcel)]
    check_room(folder, missing)
    for parcel in missing:
        click.echo(f"{parcel.target}{f', {readable(parcel.size)}' if parcel.size else ''}")
        bring(folder, parcel)
    return names
