from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Gateway = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(autouse=True)
def _configured(home: Path) -> None:  # pyright: ignore[reportUnusedFunction]  # a fixture
    """Have the state folder beside the configuration, and nobody listening."""
    home.joinpath("gateway.toml").write_text('[gateway]\nlisten = "127.0.0.1:9"\nstate_dir = "state"\n')
    for name in ("org/repo/m.gguf", "big-00001-of-00002.gguf", "big-00002-of-00002.gguf"):
        path = home / "state" / "models" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"GGUF")


def test_a_model_is_deleted_with_all_its_parts(gateway: Gateway, home: Path) -> None:
    """And with the folders that are empty then; the models folder itself stays."""
    models = home / "state" / "models"
    done = gateway("models", "rm", "big", "--yes")
    assert (done.returncode, done.stdout) == (0, "big-00001-of-00002.gguf: deleted\n")
    assert [path.name for path in models.iterdir()] == ["org"]
    assert gateway("models", "rm", "org/repo/m", "-y").returncode == 0
    assert list(models.iterdir()) == []


def test_it_asks_first(gateway: Gateway, home: Path) -> None:
    """Whoever says nothing keeps the file; so does whoever names none of them."""
    done = gateway("models", "rm", "m")
    assert done.returncode == 1
    assert "delete org/repo/m.gguf (4 B)?" in done.stdout
    done = gateway("models", "rm", "../gateway.toml", "--yes")
    assert done.returncode == 1
    assert "is called '../gateway.toml'; there are: big-00001-of-00002.gguf, org/repo/m.gguf" in done.stderr
    assert (home / "state" / "models" / "org" / "repo" / "m.gguf").exists()
