from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

OURS = ("FEDERATED_", "GATEWAY_", "LLAMACPP_", "LOCALAI_", "P2P_", "TOKEN", "XDG_")
Gateway = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A new user's home, and the working folder too."""
    return tmp_path


@pytest.fixture
def environ(home: Path) -> dict[str, str]:
    """The environment of a new user: nothing of ours, nothing of whoever runs the tests."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    return {**kept, "HOME": str(home)}


@pytest.fixture
def gateway(home: Path, environ: dict[str, str]) -> Gateway:
    """Run the real command in a process of its own."""

    def run(*arguments: str, path: Path | None = None, **variables: str) -> subprocess.CompletedProcess[str]:
        more = {"PYTHONPATH": str(path)} if path else {}
        return subprocess.run(
            [sys.executable, "-m", "swarmgate", *arguments],
            cwd=home,
            env={**environ, **more, **variables},
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )

    return run


@pytest.fixture
def outsider(home: Path) -> Callable[..., Path]:
    """Install a little distribution into a folder of its own; return the folder for ``path=``."""

    def install(name: str, code: str) -> Path:
        site = home / "site"
        module = name.replace("-", "_")
        facts = site / f"{module}-1.2.3.dist-info"
        facts.mkdir(parents=True)
        facts.joinpath("METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2.3\n")
        facts.joinpath("entry_points.txt").write_text(f"[swarmgate.plugins]\n{module} = {module}\n")
        site.joinpath(f"{module}.py").write_text(code)
        return site

    return install
