from __future__ import annotations

from typing import Any

import pytest

pytestmark = [pytest.mark.clients, pytest.mark.engine, pytest.mark.timeout(600)]
ANSWER = "The capital of France is Paris."


@pytest.fixture(scope="session")
def told(answers: Any) -> dict[str, Any]:
    return answers("langchain", "langchain_client.py")


def test_a_chat_is_answered(told: dict[str, Any]) -> None:
    """Langchain finds text, counts and the reason of the end."""
    assert told["invoke"]["content"] == ANSWER
    assert told["invoke"]["finish"] == "stop"
    usage = told["invoke"]["usage"]
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]


def test_a_stream_adds_up(told: dict[str, Any]) -> None:
    """The pieces add up to the same message, usage included."""
    assert told["stream"]["content"] == ANSWER
    assert told["stream"]["count"] > 3
    counted = ("input_tokens", "output_tokens", "total_tokens")
    assert [told["stream"]["usage"][name] for name in counted] == [told["invoke"]["usage"][name] for name in counted]


def test_a_batch_is_answered(told: dict[str, Any]) -> None:
    """Three questions at once, three answers."""
    assert told["batch"] == [ANSWER] * 3


def test_tools_are_called(told: dict[str, Any]) -> None:
    """A bound tool is called with its arguments, and can be run with them."""
    assert told["bind_tools"]["name"] == "get_weather"
    city = told["bind_tools"]["args"]["city"]
    assert told["bind_tools"]["result"] == f"sunny in {city}"


def test_output_is_structured(told: dict[str, Any]) -> None:
    """Either way langchain knows gives a pydantic model."""
    assert told["with_structured_output"].keys() == {"json_schema", "function_calling"}
    for place in told["with_structured_output"].values():
        assert place.keys() == {"capital", "language"}


def test_texts_are_embedded(told: dict[str, Any]) -> None:
    """Documents and questions become vectors."""
    assert told["embeddings"] == [64, 64, 64]
