from __future__ import annotations

import json
from typing import Any

import pytest

pytestmark = [pytest.mark.clients, pytest.mark.engine, pytest.mark.timeout(600)]


@pytest.fixture(scope="session")
def told(answers: Any) -> dict[str, Any]:
    return answers("litellm", "litellm_client.py")


def test_a_chat_is_answered_whole_and_streamed(told: dict[str, Any]) -> None:
    """Litellm reads the answer in one piece and in many."""
    assert told["chat"]["choices"][0]["message"]["content"] == "The capital of France is Paris."
    assert told["stream"] == "The capital of France is Paris."
    assert told["chat"]["usage"]["completion_tokens"] > 0


def test_a_call_can_be_forced(told: dict[str, Any]) -> None:
    """A forced call arrives as litellm's tool call, its arguments obey the schema."""
    call = told["forced_call"]["tool_calls"][0]["function"]
    assert call["name"] == "get_weather"
    assert json.loads(call["arguments"]).keys() == {"city"}


def test_json_obeys_its_schema(told: dict[str, Any]) -> None:
    """A response format reaches the engine through litellm."""
    assert isinstance(json.loads(told["json_schema"])["yes"], bool)


def test_texts_are_embedded(told: dict[str, Any]) -> None:
    """Two texts, two vectors."""
    assert told["embeddings"] == [64, 64]


def test_errors_are_litellms_own(told: dict[str, Any]) -> None:
    """Litellm knows our errors by status and code."""
    assert told["errors"] == {"unknown model": "NotFoundError", "too long": "ContextWindowExceededError"}
