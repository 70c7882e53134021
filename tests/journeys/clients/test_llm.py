from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from live_gateway import LiveGateway

pytestmark = [pytest.mark.clients, pytest.mark.engine, pytest.mark.timeout(600)]

MODELS = """\
- model_id: mine
  model_name: local/smollm2
  api_base: "{url}/v1"
  supports_schema: true
  supports_tools: true
"""


@pytest.fixture(scope="session")
def llm(gateway: LiveGateway, python_with: Any, outside: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Run the ``llm`` command with a user folder that knows the gateway; give what it prints."""
    home = tmp_path_factory.mktemp("llm")
    (home / "extra-openai-models.yaml").write_text(MODELS.format(url=gateway.url))
    python: Path = python_with("llm")

    def run(*arguments: str) -> str:
        environ = {**outside, "LLM_USER_PATH": str(home), "OPENAI_API_KEY": "none needed"}
        done = subprocess.run(
            [python, "-m", "llm", *arguments], check=False, capture_output=True, text=True, timeout=200, env=environ
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


ASK = ("-m", "mine", "-s", "You are a helpful AI assistant.", "-o", "temperature", "0", "-o", "max_tokens", "120")


def test_the_model_is_known(llm: Any) -> None:
    """A few lines of YAML, and the command lists our model."""
    assert "mine" in llm("models")


@pytest.mark.parametrize("how", [(), ("--no-stream",)])
def test_a_prompt_is_answered(llm: Any, how: tuple[str, ...]) -> None:
    """The command prints the answer, streamed or not."""
    assert llm("prompt", *ASK, *how, "Name the capital of France.").strip() == "The capital of France is Paris."


def test_a_conversation_goes_on(llm: Any) -> None:
    """A second prompt continues the first one's conversation."""
    llm("prompt", *ASK, "Name the capital of France.")
    assert llm("prompt", "-c", *ASK[4:], "Name it again.").strip()
    told = json.loads(llm("logs", "--json", "-n", "2"))
    assert len({entry["conversation_id"] for entry in told}) == 1


def test_a_schema_is_obeyed(llm: Any) -> None:
    """The command's short form of a schema gives JSON of that form."""
    written = json.loads(llm("prompt", *ASK, "--schema", "capital bool, letters int", "Tell me about Paris."))
    assert written.keys() == {"capital", "letters"}
