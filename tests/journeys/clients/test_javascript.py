from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from live_gateway import LiveGateway
from outsiders import node_with

pytestmark = [pytest.mark.clients, pytest.mark.engine, pytest.mark.timeout(600)]
ANSWER = "The capital of France is Paris."


@pytest.fixture(scope="session")
def told(gateway: LiveGateway, outside: dict[str, str]) -> dict[str, Any]:
    """What the packages of npm made of the gateway's answers."""
    node, folder = node_with(Path(__file__).parent / "js")
    command = [node, folder / "clients.mjs", f"{gateway.url}/v1", "local/smollm2"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=400, env=outside)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_a_chat_is_answered(told: dict[str, Any]) -> None:
    """Whole and in pieces, with the same text."""
    assert told["chat"] == "".join(told["chat_streamed"]) == ANSWER
    assert len(told["chat_streamed"]) > 3


def test_a_response_is_answered(told: dict[str, Any]) -> None:
    """Whole and in events in their order, and it is kept."""
    assert told["response"] == {"text": ANSWER, "again": ANSWER}
    events = told["response_streamed"]
    assert "".join(event.get("delta", "") for event in events) == ANSWER
    assert [event["number"] for event in events] == list(range(len(events)))
    assert (events[0]["type"], events[-1]["type"]) == ("response.created", "response.completed")


def test_json_has_the_form_that_was_asked_for(told: dict[str, Any]) -> None:
    """By the helper for streams, and by the AI SDK."""
    for found in (told["response_by_helper"], told["ai_object"]):
        assert found.keys() == {"capital", "language"}
        assert isinstance(found["capital"], bool)


def test_a_call_is_made_and_answered(told: dict[str, Any]) -> None:
    """By hand, and by the AI SDK's own loop, which refers to items that are kept instead of sending them."""
    assert (told["call"]["name"], list(told["call"]["arguments"])) == ("get_weather", ["city"])
    assert told["call"]["text"]
    assert (told["ai_tools"]["steps"], len(told["ai_tools"]["cities"])) == (2, 1)
    assert told["ai_tools"]["text"]


def test_the_ai_sdk_speaks_both(told: dict[str, Any]) -> None:
    """Responses, which it takes by itself, and chats; its counts are ours."""
    assert told["ai_text"]["text"] == told["ai_chat"] == "".join(told["ai_streamed"]) == ANSWER
    assert told["ai_text"]["finishReason"] == "stop"
    usage = told["ai_text"]["usage"]
    assert usage["inputTokens"] + usage["outputTokens"] == usage["totalTokens"] > 20


def test_an_error_is_the_sdks_own(told: dict[str, Any]) -> None:
    """With its class, its status and the field at fault."""
    assert told["refused"] == {"kind": "BadRequestError", "status": 400, "code": "unsupported", "param": "background"}
