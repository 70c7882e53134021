from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
#: Folders that hold nothing of ours: what was built, fetched or remembered.
STRANGERS = {"__pycache__", "build", "dist", "node_modules", "site"}


def walk(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        hidden = path.name.startswith(".") and path.name not in {".ci", ".gitignore"}
        if hidden or path.name in STRANGERS or path.suffix in {".egg-info", ".gguf"} or path.name == "uv.lock":
            continue
        if path.is_dir():
            yield from walk(path)
        else:
            yield path


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def ours() -> list[Path]:
    """Every file of the repository, as a clone would have it."""
    return list(walk(ROOT))


@pytest.fixture(scope="session")
def modules(ours: list[Path]) -> list[Path]:
    return [path for path in ours if path.suffix == ".py"]
