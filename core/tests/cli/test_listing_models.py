from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from live_gateway import live_gateway

Gateway = Callable[..., subprocess.CompletedProcess[str]]


def put(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"GGUF")


def test_without_a_gateway_the_folder_is_shown(gateway: Gateway, home: Path) -> None:
    """And that none runs is said; for programs it is a document all the same."""
    home.joinpath("gateway.toml").write_text('[gateway]\nlisten = "127.0.0.1:9"\nstate_dir = "state"\n')
    done = gateway("models", "list")
    assert (done.returncode, done.stderr) == (0, "")
    assert "no gateway runs at http://127.0.0.1:9" in done.stdout
    assert f"there is no model in {Path('state/models')}" in done.stdout
    put(home / "state" / "models", "org/repo/m-Q8_0.gguf", "big-00002-of-00002.gguf")
    done = gateway("models", "list")
    rows = {line.split()[0]: line for line in done.stdout.splitlines() if line}
    assert rows["org/repo/m-Q8_0"].split()[1:3] == ["not", "loaded"]
    assert rows["org/repo/m-Q8_0"].rstrip().endswith("Q8_0")
    assert "not loaded: 1 of its parts are missing" in rows["big-00001-of-00002"]
    told = json.loads(gateway("models", "list", "--json", LOCALAI_MODELS_PATH=str(home / "none")).stdout)
    assert told == {"gateway": None, "folder": str(home / "none"), "models": []}


@pytest.mark.journey
def test_beside_a_gateway_both_are_shown(gateway: Gateway, home: Path) -> None:
    """What is served with its state, and the files that nobody has loaded."""
    put(home / "models", "new-Q4_0.gguf")
    with live_gateway(home, [{"use": "echo", "model": "org/echo", "slots": 3}]) as running:
        told = json.loads(gateway("models", "list", "--json").stdout)
        assert (told["gateway"], told["folder"]) == (running.url, str(home / "models"))
        echo, new = told["models"]
        assert (echo["name"], echo["state"], echo["where"], echo["slots"]) == ("org/echo", "loaded", ["here"], 3)
        assert new == {
            "name": "new-Q4_0",
            "state": "not loaded",
            "size": 4,
            "quantization": "Q4_0",
            "file": "new-Q4_0.gguf",
        }
        assert gateway("models", "unload", "org/echo").returncode == 0
        shown = gateway("models", "list").stdout
        assert [line.split()[:2] for line in shown.splitlines()[1:3]] == [["org/echo", "unloaded"], ["new-Q4_0", "not"]]
