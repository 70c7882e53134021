from __future__ import annotations

import json
from typing import Any

import pytest

pytestmark = [pytest.mark.clients, pytest.mark.engine, pytest.mark.timeout(600)]
ANSWER = "The capital of France is Paris."


@pytest.fixture(scope="session", params=["anthropic-0", "anthropic-2"])
def told(request: pytest.FixtureRequest, answers: Any) -> dict[str, Any]:
    return answers(request.param, "anthropic_sdk.py")


def test_a_message_is_answered(told: dict[str, Any]) -> None:
    """One question, one right answer, with counts and an id of the request."""
    answer = told["message"]
    assert answer["content"] == [{"type": "text", "text": ANSWER}]
    assert (answer["role"], answer["model"], answer["stop_reason"]) == ("assistant", "local/smollm2", "end_turn")
    assert answer["usage"]["input_tokens"] + answer["usage"]["cache_read_input_tokens"] > 10
    assert answer["usage"]["output_tokens"] in {7, 8}  # with or without the token that ends it
    assert answer["request_id"]


def test_a_stream_says_the_same(told: dict[str, Any]) -> None:
    """Event by event, and put together by the SDK."""
    events = told["stream"]
    texts = [event["delta"]["text"] for event in events if event["type"] == "content_block_delta"]
    assert "".join(texts) == ANSWER
    assert len(texts) > 3
    assert [event["type"] for event in events if event["type"] != "content_block_delta"] == [
        "message_start",
        "content_block_start",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    final = told["stream_helper"]["final"]
    assert "".join(told["stream_helper"]["texts"]) == final["content"][0]["text"] == ANSWER
    whole = told["message"]
    assert final["usage"]["output_tokens"] == whole["usage"]["output_tokens"]
    assert sum(final["usage"][name] for name in ("input_tokens", "cache_read_input_tokens")) == sum(
        whole["usage"][name] for name in ("input_tokens", "cache_read_input_tokens")
    )


def test_a_stream_may_be_left(told: dict[str, Any]) -> None:
    """Whoever hangs up early can ask again at once."""
    assert told["left_early"] == ANSWER


def test_an_answer_says_why_it_ended(told: dict[str, Any]) -> None:
    """At the limit, or before which stop sequence, streamed or not."""
    ends = told["ends"]
    assert (ends["max_tokens"]["stop_reason"], ends["max_tokens"]["content"][0]["text"]) == (
        "max_tokens",
        "The capital of",
    )
    stopped = ends["stop_sequence"]
    assert (stopped["stop_reason"], stopped["stop_sequence"]) == ("stop_sequence", " of")
    assert stopped["content"] == [{"type": "text", "text": "The capital"}]
    assert ends["streamed"]["delta"]["stop_sequence"] == " of"


def test_a_call_can_be_forced(told: dict[str, Any]) -> None:
    """Its input obeys the schema, streamed or not; its result may be told, also a failure."""
    for message in (told["forced_call"]["whole"], told["forced_call"]["streamed"]):
        (call,) = [block for block in message["content"] if block["type"] == "tool_use"]
        assert (call["name"], message["stop_reason"]) == ("get_weather", "tool_use")
        assert call["input"].keys() == {"city", "unit"}
        assert call["input"]["unit"] in {"celsius", "fahrenheit"}
    assert "input_json" in told["forced_call"]["kinds"]
    assert told["forced_call"]["told"]["content"][0]["type"] == "text"


def test_a_coding_agent_is_served(told: dict[str, Any]) -> None:
    """Its long prompt is counted exactly, and is cached the second time; what has no use is named."""
    coding = told["coding"]
    usage = coding["first"]["usage"]
    assert coding["counted"] == usage["input_tokens"] + usage["cache_read_input_tokens"]
    assert coding["counted"] > 500
    assert coding["again"]["cache_read_input_tokens"] > coding["counted"] // 2
    assert coding["again"]["input_tokens"] + coding["again"]["cache_read_input_tokens"] == coding["counted"]
    assert coding["ignored"] == "context_management"


def test_thinking_may_be_asked_of_any_model(told: dict[str, Any]) -> None:
    """One that does not think answers all the same."""
    assert told["thinking"] == [ANSWER, ANSWER]


def test_json_obeys_its_schema(told: dict[str, Any]) -> None:
    """As structured outputs do."""
    assert isinstance(json.loads(told["json_schema"])["yes"], bool)


def test_models_are_listed(told: dict[str, Any]) -> None:
    """And found by their names, slashes and all."""
    assert told["models"] == {"listed": ["local/smollm2", "tiny-bert"], "one": "local/smollm2"}


def test_errors_are_the_sdks_own(told: dict[str, Any]) -> None:
    """Each with Anthropic's type, and the request's id in its document and header."""
    assert told["errors"] == {
        "unknown model": ["NotFoundError", "not_found_error", True],
        "too long": ["BadRequestError", "invalid_request_error", True],
        "picture": ["BadRequestError", "invalid_request_error", True],
        "begun": ["BadRequestError", "invalid_request_error", True],
        "web search": ["BadRequestError", "invalid_request_error", True],
        "wrong key": ["AuthenticationError", "authentication_error", True],
    }


def test_the_key_opens(told: dict[str, Any]) -> None:
    """Whether it is shown as x-api-key, as older versions do, or as Authorization."""
    assert told["with_key"] == "Name the capital of France."
