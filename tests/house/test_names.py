from __future__ import annotations

import tomllib
from importlib.metadata import entry_points
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PLUGINS = sorted(path.name for path in (ROOT / "plugins").iterdir() if (path / "pyproject.toml").exists())


def test_there_are_plugins() -> None:
    """The names below are taken from a folder that is not empty."""
    assert {"transport_static", "balancer_round_robin", "balancer_least_loaded", "backend_llamacpp"} <= set(PLUGINS)


@pytest.mark.parametrize("folder", PLUGINS)
def test_a_folder_gives_all_names(folder: str) -> None:
    """A plugin's folder, ``slot_name``, determines its distribution, its package and its entry point."""
    table = tomllib.loads((ROOT / "plugins" / folder / "pyproject.toml").read_text(encoding="utf-8"))
    package = f"swarmgate_{folder}"
    assert table["project"]["name"] == package.replace("_", "-")
    assert table["project"]["entry-points"] == {"swarmgate.plugins": {folder.split("_", 1)[1]: package}}
    assert table["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"] == [f"src/{package}"]
    assert table["build-system"]["build-backend"] == "hatchling.build"  # else uv would quietly not install it
    assert (ROOT / "plugins" / folder / "src" / package / "py.typed").exists()


def test_the_bundle_lists_every_plugin() -> None:
    """The bundle asks for the core and for each plugin there is, and for nothing else."""
    table = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    asked = {requirement.split("==")[0] for requirement in table["project"]["dependencies"]}
    assert asked == {"swarmgate-core", *(f"swarmgate-{folder.replace('_', '-')}" for folder in PLUGINS)}


def test_installed_plugins_are_the_folders() -> None:
    """What is found through the entry-point group is what stands in the folders, and the core's own parts."""
    found = {point.value for point in entry_points(group="swarmgate.plugins")}
    assert {"swarmgate.builtin", *(f"swarmgate_{folder}" for folder in PLUGINS)} <= found
