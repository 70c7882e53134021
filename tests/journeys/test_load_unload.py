"""Models loaded and unloaded while the gateway runs: memory and workers are free, and the text is the same."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from fake_hub import fake_hub
from live_gateway import LiveGateway, live_gateway
from live_worker import clean_environ
from split_swarm import split_swarm
from tinygguf import Shape, write_llama

pytestmark = [pytest.mark.engine, pytest.mark.journey, pytest.mark.timeout(120)]


def post(gateway: LiveGateway, path: str, **body: Any) -> tuple[int, Any]:
    request = urllib.request.Request(
        f"{gateway.url}{path}", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return response.status, json.loads(response.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def written(gateway: LiveGateway, model: str) -> str:
    status, told = post(
        gateway, "/v1/completions", model=model, prompt="hello", max_tokens=16, temperature=0, ignore_eos=True
    )
    assert status == 200, told
    return told["choices"][0]["text"]


def test_unloading_gives_workers_and_memory_back(tmp_path: Path) -> None:
    """The engine's process is gone and the workers are lent to nobody; loaded again it is split and writes the same."""
    model = tmp_path / "tiny.gguf"
    write_llama(model, shape=Shape(layers=6))
    with split_swarm(tmp_path, model) as swarm:
        before = written(swarm.gateway, "m")
        (engine,) = swarm.gateway.engines
        swarm.until(lambda: all(swarm.member(name).get("leased_by") for name in swarm.workers))
        assert post(swarm.gateway, "/v1/models/unload", model="m")[1]["state"] == "unloaded"
        assert engine not in swarm.gateway.engines
        assert not Path(f"/proc/{engine}").exists()
        swarm.until(lambda: not any(swarm.member(name).get("leased_by") for name in swarm.workers))
        assert swarm.model()["state"] == "unloaded"
        status, told = post(swarm.gateway, "/v1/completions", model="m", prompt="hello")
        assert (status, told["error"]["code"]) == (503, "model_not_loaded")
        assert post(swarm.gateway, "/v1/models/load", model="m")[1]["state"] == "loaded"
        swarm.until_held_by("here", *swarm.workers)
        assert written(swarm.gateway, "m") == before


def test_a_second_model_is_loaded_at_run_time(tmp_path: Path) -> None:
    """From the models folder, by its name, and answers beside the first; a file that is none is told and closed."""
    models = tmp_path / "models"
    models.mkdir()
    write_llama(tmp_path / "first.gguf", shape=Shape(layers=2))
    write_llama(models / "second.gguf", shape=Shape(layers=3))
    (models / "broken.gguf").write_bytes(b"GGUF and nothing else")
    backend = {"use": "llamacpp", "model": str(tmp_path / "first.gguf"), "threads": 1}
    with live_gateway(tmp_path, [backend]) as gateway:
        first = written(gateway, "first")
        told = post(gateway, "/v1/models/load", model="second", options={"threads": 1, "slots": 2, "context_size": 256})
        assert told == (200, {"success": True, "models": ["second"], "state": "loaded"})
        assert written(gateway, "second")
        assert gateway.get("/v1/models/second")["context_length"] == 256
        assert written(gateway, "first") == first
        status, told = post(gateway, "/v1/models/load", model="broken")
        assert (status, told["error"]["code"]) == (500, "model_load_failed")
        assert "broken.gguf" in told["error"]["message"]
        assert len(gateway.engines) == 2
        post(gateway, "/v1/models/unload", model="second")
        assert len(gateway.engines) == 1
        assert written(gateway, "first") == first
        statuses = {model["id"]: model["status"]["value"] for model in gateway.get("/models")["data"]}
        assert statuses == {"first": "loaded", "second": "unloaded", "broken": "unloaded"}


def test_a_model_is_pulled_loaded_and_removed(tmp_path: Path) -> None:
    """By the commands alone, from a hub on loopback; what is loaded is not removed."""
    written_at = write_llama(tmp_path / "tiny.gguf", shape=Shape(layers=2))
    name = "org/tiny-GGUF/tiny-Q8_0"

    def models(*words: str) -> subprocess.CompletedProcess[str]:
        command = [str(Path(sys.executable).with_name("gateway")), "models", *words]
        environ = clean_environ(HF_ENDPOINT=hub.url, HF_HOME=str(tmp_path / "hf"))
        return subprocess.run(
            command, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=60, check=False
        )

    with fake_hub() as hub, live_gateway(tmp_path, [{"use": "echo", "model": "e"}]) as gateway:
        hub.files["org/tiny-GGUF"] = {"tiny-Q8_0.gguf": written_at.read_bytes(), "tiny-Q2_K.gguf": b"GGUF"}
        done = models("pull", "org/tiny-GGUF:Q8_0")
        assert done.returncode == 0, done.stderr
        assert f"`gateway models load {name}`" in done.stdout
        done = models("load", name, "--set", "threads=1", "--name", "tiny")
        assert (done.returncode, done.stdout) == (0, "tiny: loaded\n"), done.stderr
        assert written(gateway, "tiny")
        listed = {model["name"]: model for model in json.loads(models("list", "--json").stdout)["models"]}
        assert (listed["tiny"]["state"], listed["tiny"]["file"]) == ("loaded", f"{name}.gguf")
        assert listed["tiny"]["size"] > 0
        done = models("rm", name, "--yes")
        assert done.returncode == 1
        assert "is loaded as 'tiny'; `gateway models unload tiny` first" in done.stderr
        assert models("unload", "tiny").returncode == 0
        assert models("rm", "tiny-Q8_0", "--yes").stdout == f"{name}.gguf: deleted\n"
        assert not (tmp_path / "models" / "org").exists()
        assert [model["id"] for model in gateway.get("/v1/models")["data"]] == ["e"]


def test_a_pulled_model_is_served_by_its_name(tmp_path: Path) -> None:
    """In the configuration it needs no path."""
    (tmp_path / "models").mkdir()
    write_llama(tmp_path / "models" / "tiny.gguf", shape=Shape(layers=2))
    with live_gateway(tmp_path, [{"use": "llamacpp", "model": "tiny", "threads": 1}]) as gateway:
        assert written(gateway, "tiny")
