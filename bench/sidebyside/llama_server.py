"""Builds llama-server from the sources of the very llama-cpp-python that the engine uses, with the engine's flags."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tarfile
import tomllib
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

from platformdirs import user_cache_path

_DISTRIBUTION = "llama-cpp-python"
#: What the server needs beyond the engine's flags; its web page would be fetched, so it is left out.
_SERVER_FLAGS = {
    "CMAKE_BUILD_TYPE": "Release",
    "LLAMA_BUILD_COMMON": "ON",
    "LLAMA_BUILD_TOOLS": "ON",
    "LLAMA_BUILD_SERVER": "ON",
    "LLAMA_BUILD_UI": "OFF",
    "LLAMA_USE_PREBUILT_UI": "OFF",
}


class Recipe(NamedTuple):
    """The folder of the sdist in which CMake starts, and the definitions it gets."""

    folder: str
    flags: dict[str, str]


def engine_recipe(project: Path) -> Recipe:
    """Return how *project*, the root ``pyproject.toml``, has the engine built."""
    settings = tomllib.loads(project.read_text())["tool"]["uv"]["config-settings-package"][_DISTRIBUTION]
    prefix = "cmake.define."
    flags = {key.removeprefix(prefix): value for key, value in settings.items() if key.startswith(prefix)}
    return Recipe(settings.get("cmake.source-dir", "."), flags)


def server_recipe(engine: Recipe) -> Recipe:
    """Return the engine's recipe with the server's definitions on top; where things are installed does not matter."""
    kept = {name: value for name, value in engine.flags.items() if not name.startswith("CMAKE_INSTALL_")}
    return Recipe(engine.folder, {**kept, **_SERVER_FLAGS})


def llama_server(project: Path, jobs: int | None = None) -> Path:
    """Return the path of llama-server, built now if it was not built before for this version and these flags.

    Raises:
        CalledProcessError: it could not be fetched or built; the output above says why.

    """
    release = version(_DISTRIBUTION)
    recipe = server_recipe(engine_recipe(project))
    key = hashlib.sha256(repr((release, recipe.folder, sorted(recipe.flags.items()))).encode()).hexdigest()[:12]
    home = user_cache_path("swarmgate") / "bench" / f"llama-server-{release}-{key}"
    binary = home / "build" / "bin" / "llama-server"
    if (home / "built").exists():  # touched last, so that half a build is not taken for a whole
        return binary
    home.mkdir(parents=True, exist_ok=True)
    print(f"building llama-server {release} in {home}: several minutes, once", flush=True)
    source = _source(release, home)
    definitions = [f"-D{name}={value}" for name, value in recipe.flags.items()]
    generator = ["-G", "Ninja"] if shutil.which("ninja") else []
    build = home / "build"
    subprocess.run(["cmake", *generator, "-S", source / recipe.folder, "-B", build, *definitions], check=True)
    parallel = str(jobs or os.cpu_count() or 1)
    subprocess.run(["cmake", "--build", build, "--target", "llama-server", "--parallel", parallel], check=True)
    (home / "built").touch()
    return binary


def _source(release: str, home: Path) -> Path:
    """Fetch and unpack the sdist, by the ordinary client."""
    source = home / f"{_DISTRIBUTION.replace('-', '_')}-{release}"
    if not source.exists():
        download = ["uv", "tool", "run", "pip", "download", "--no-deps", "--no-binary", _DISTRIBUTION]
        subprocess.run([*download, "--dest", home, f"{_DISTRIBUTION}=={release}"], check=True)
        with tarfile.open(next(home.glob("*.tar.gz"))) as archive:
            archive.extractall(home / "unpacked", filter="data")
        (home / "unpacked" / source.name).rename(
            source
        )  # in one step, so that half an unpacking is not taken for a whole
    return source
