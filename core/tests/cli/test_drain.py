"""``gateway drain`` beside a real gateway, and beside none."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from live_gateway import live_gateway

pytestmark = pytest.mark.journey


def drain(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GATEWAY_")}
    command = [sys.executable, "-m", "swarmgate", "drain", *words]
    return subprocess.run(command, cwd=folder, env=clean, capture_output=True, text=True, timeout=100, check=False)


def test_a_node_is_drained_and_taken_back_in(tmp_path: Path) -> None:
    """What was meant is told; a name nobody has is an error that says who there is."""
    backends = [{"use": "echo", "model": "echo"}, {"use": "echo", "model": "echo"}]
    with live_gateway(tmp_path, backends) as gateway:
        done = drain(tmp_path, "echo-2")
        assert (done.returncode, done.stdout) == (0, "echo-2: drained: nothing new is sent there\n")
        assert [node["state"] for node in gateway.get("/v1/swarm")["nodes"]] == ["ready", "draining"]
        done = drain(tmp_path, "echo-2", "--undo", "--json")
        assert json.loads(done.stdout) == {"backends": ["echo-2"], "draining": False}
        done = drain(tmp_path, "nobody")
        assert done.returncode == 1
        assert "no node is called 'nobody'; there are: echo, echo-2" in done.stderr
    done = drain(tmp_path, "echo")
    assert done.returncode == 1
    assert "no gateway answers at http://127.0.0.1:" in done.stderr
