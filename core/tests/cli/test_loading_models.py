from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from live_gateway import live_gateway

Gateway = Callable[..., subprocess.CompletedProcess[str]]


@pytest.mark.journey
def test_a_model_is_unloaded_and_loaded_again(gateway: Gateway, home: Path) -> None:
    """The commands return when it is done; what is refused is said, with status 1."""
    with live_gateway(home, [{"use": "echo", "model": "e", "load_seconds": 1}]) as running:
        done = gateway("models", "unload", "e")
        assert (done.returncode, done.stdout, done.stderr) == (0, "e: unloaded\n", "")
        assert running.get("/v1/swarm")["models"][0]["state"] == "unloaded"
        done = gateway("models", "load", "e", "--json")
        assert (done.returncode, json.loads(done.stdout)["state"]) == (0, "loaded")
        assert running.get("/v1/swarm")["models"][0]["state"] == "loaded"
        done = gateway("models", "unload", "e", "--forget")
        assert done.returncode == 1
        assert "'e' is in the configuration, and stays known" in done.stderr
        done = gateway("models", "load", "other")
        assert done.returncode == 1
        assert (
            "no model of this machine is called 'other' (there are: e), and no file in its models folder" in done.stderr
        )
        done = gateway("models", "load", "e", "--set", "slots")
        assert done.returncode == 2
        assert "'slots' is no OPTION=VALUE" in done.stderr
        done = gateway("models", "load", "e", "--set", "slots=2")
        assert done.returncode == 1
        assert "'e' is known already, with a name and options of its own" in done.stderr


def test_without_a_gateway_nothing_is_loaded(gateway: Gateway, home: Path) -> None:
    """It is said how one is started."""
    home.joinpath("gateway.toml").write_text('[gateway]\nlisten = "127.0.0.1:9"\nstate_dir = "state"\n')
    for verb in ("load", "unload"):
        done = gateway("models", verb, "m")
        assert done.returncode == 1
        assert "no gateway runs at http://127.0.0.1:9; start one with `gateway run`" in done.stderr
