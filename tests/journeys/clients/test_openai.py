from __future__ import annotations

import json
import math
import re
from typing import Any

import pytest

pytestmark = [pytest.mark.clients, pytest.mark.engine, pytest.mark.timeout(600)]
ANSWER = "The capital of France is Paris."


@pytest.fixture(scope="session", params=["openai-2", "openai-3"])
def told(request: pytest.FixtureRequest, answers: Any) -> dict[str, Any]:
    return answers(request.param, "openai_sdk.py")


def text_of(chunks: list[dict[str, Any]]) -> str:
    return "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"])


def test_a_chat_is_answered(told: dict[str, Any]) -> None:
    """One question, one right answer, with counts that add up."""
    answer = told["chat"]
    assert answer["choices"][0]["message"]["content"] == ANSWER
    assert answer["choices"][0]["message"]["role"] == "assistant"
    assert answer["choices"][0]["finish_reason"] == "stop"
    assert (answer["object"], answer["model"]) == ("chat.completion", "local/smollm2")
    assert answer["usage"]["prompt_tokens"] > 10
    assert answer["usage"]["completion_tokens"] in {7, 8}  # with or without the token that ends it
    assert answer["usage"]["total_tokens"] == sum(
        answer["usage"][f"{kind}_tokens"] for kind in ("prompt", "completion")
    )


def test_a_stream_says_the_same(told: dict[str, Any]) -> None:
    """Role first, then the same text in several pieces, one id throughout, an end, no usage."""
    chunks = told["stream"]
    assert text_of(chunks) == ANSWER
    assert len([chunk for chunk in chunks if text_of([chunk])]) > 3
    assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    assert len({(chunk["id"], chunk["created"], chunk["model"]) for chunk in chunks}) == 1
    assert all(chunk["usage"] is None for chunk in chunks)


def test_usage_comes_on_request(told: dict[str, Any]) -> None:
    """Asked for usage, the stream has one more chunk: no choices, and the counts of the whole."""
    *chunks, last = told["stream_with_usage"]
    assert text_of(chunks) == ANSWER
    assert all(chunk["usage"] is None for chunk in chunks)
    assert last["choices"] == []
    counted = ("prompt_tokens", "completion_tokens", "total_tokens")
    assert [last["usage"][name] for name in counted] == [told["chat"]["usage"][name] for name in counted]


def test_a_stream_may_be_left(told: dict[str, Any]) -> None:
    """Whoever hangs up early can ask again at once."""
    assert told["stream_left_early"] == ANSWER


def test_several_choices_are_numbered(told: dict[str, Any]) -> None:
    """Two answers to one question have the indexes 0 and 1."""
    assert [choice["index"] for choice in told["several_choices"]] == [0, 1]
    assert all(choice["message"]["content"] for choice in told["several_choices"])


def test_a_seed_repeats_the_draw(told: dict[str, Any]) -> None:
    """The same seed gives the same text, another seed another one."""
    first, again, other = told["seeded"]
    assert first == again != other


def test_an_answer_ends_where_it_is_told_to(told: dict[str, Any]) -> None:
    """At max_tokens the reason is "length"; before a stop string it is "stop", and the string is not in the text."""
    assert (told["cut_off"]["finish_reason"], told["cut_off"]["message"]["content"]) == ("length", "The capital of")
    assert (told["stopped"]["finish_reason"], told["stopped"]["message"]["content"]) == ("stop", "The capital")


def test_logprobs_are_there(told: dict[str, Any]) -> None:
    """Each token has its probability and the asked number of likeliest ones, itself the first when greedy."""
    tokens = told["logprobs"]["content"]
    assert "".join(token["token"] for token in tokens) == "The capital of France"
    for token in tokens:
        assert len(token["top_logprobs"]) == 3
        assert token["logprob"] <= 0
        assert token["top_logprobs"][0]["token"] == token["token"]
        assert bytes(token["bytes"]).decode() == token["token"]


def test_a_call_can_be_forced(told: dict[str, Any]) -> None:
    """The named function is called with arguments that obey the schema, streamed or not; its result may be told."""
    call = told["forced_call"]["message"]["tool_calls"][0]
    assert (call["type"], call["function"]["name"]) == ("function", "get_weather")
    arguments = json.loads(call["function"]["arguments"])
    assert set(arguments) == {"city", "unit"}
    assert arguments["unit"] in {"celsius", "fahrenheit"}
    assert told["forced_call"]["finish_reason"] in {"tool_calls", "stop"}  # OpenAI says "stop" when a call was forced
    streamed = told["forced_call_streamed"]
    assert (streamed["name"], len(streamed["ids"])) == ("get_weather", 1)
    assert json.loads(streamed["arguments"]).keys() == {"city", "unit"}
    assert isinstance(told["call_and_result"], str)
    assert told["call_and_result"]


def test_json_is_json(told: dict[str, Any]) -> None:
    """A schema gives what the SDK's helper decodes; json_object gives the beginning of an object, or a whole one."""
    assert told["json_schema"].keys() == {"capital", "language"}
    assert isinstance(told["json_schema"]["capital"], bool)
    text, finish = told["json_object"]["message"]["content"], told["json_object"]["finish_reason"]
    assert text.lstrip().startswith("{")
    if finish == "stop":
        assert isinstance(json.loads(text), dict)


def test_newer_forms_of_messages_are_read(told: dict[str, Any]) -> None:
    """The developer role is the system role, and text may come in parts."""
    assert told["parts_and_developer"]["choices"][0]["message"]["content"] == ANSWER
    assert told["parts_and_developer"]["usage"]["prompt_tokens"] == told["chat"]["usage"]["prompt_tokens"]


def test_text_is_continued(told: dict[str, Any]) -> None:
    """The older endpoint goes on with a text, with its own form of logprobs, streamed or not."""
    choice = told["completion"]["choices"][0]
    assert choice["text"].startswith(" Paris")
    assert told["completion"]["object"] == "text_completion"
    assert choice["logprobs"]["tokens"][0] == " Paris"
    assert len(choice["logprobs"]["tokens"]) == len(choice["logprobs"]["token_logprobs"]) == 8
    assert told["completion_stream"] == choice["text"]


def test_texts_are_embedded(told: dict[str, Any]) -> None:
    """Vectors have unit length, the SDK's base64 is the same as plain numbers, and near texts are near."""
    first, near, far = told["embeddings"]["packed"]
    assert len(first) == 64
    assert math.hypot(*first) == pytest.approx(1, abs=1e-5)
    assert first == pytest.approx(told["embeddings"]["plain"], abs=1e-6)
    assert sum(a * b for a, b in zip(first, near, strict=True)) > sum(a * b for a, b in zip(first, far, strict=True))
    assert told["embeddings"]["usage"]["prompt_tokens"] == told["embeddings"]["usage"]["total_tokens"] > 10


def test_models_are_listed(told: dict[str, Any]) -> None:
    """Both models are there, a slash in a name does no harm, and the context is told beside the standard fields."""
    listed = {model["id"]: model for model in told["models"]["listed"]}
    assert listed.keys() == {"local/smollm2", "tiny-bert"}
    assert told["models"]["retrieved"] == told["models"]["listed"]
    assert {model["object"] for model in listed.values()} == {"model"}
    assert listed["local/smollm2"]["context_length"] == 2048
    assert listed["local/smollm2"]["meta"]


def test_heads_tell_what_bodies_do_not(told: dict[str, Any]) -> None:
    """The request's id comes back, and fields nobody knows are named instead of refused."""
    assert told["headers"]["named"]["x-request-id"] == "journey-1"
    assert any("no_such_field" in value for value in told["headers"]["unknown"].values())
    assert not any("no_such_field" in value for value in told["headers"]["named"].values())


def test_several_may_ask_at_once(told: dict[str, Any]) -> None:
    """Three questions at the same time get three right answers."""
    assert told["at_once"] == [ANSWER] * 3


@pytest.mark.parametrize(
    ("what", "kind", "status", "code"),
    [
        ("unknown model", "NotFoundError", 404, "model_not_found"),
        ("unknown model retrieved", "NotFoundError", 404, "model_not_found"),
        ("too long", "BadRequestError", 400, "context_length_exceeded"),
        ("too long streamed", "BadRequestError", 400, "context_length_exceeded"),
        ("wrong type", "BadRequestError", 400, None),
        ("no messages", "BadRequestError", 400, None),
        ("chat model embeds", "BadRequestError", 400, None),
        ("embedder chats", "BadRequestError", 400, None),
        ("wrong key", "AuthenticationError", 401, "invalid_api_key"),
    ],
)
def test_errors_are_the_sdks_own(told: dict[str, Any], what: str, kind: str, status: int, code: str | None) -> None:
    """Each fault arrives as the class the SDK has for it, with status, code and a message."""
    seen = told["errors"][what]
    assert (seen["class"], seen["status"]) == (kind, status)
    assert seen["message"]
    if code is not None:
        assert seen["code"] == code


def test_an_error_says_what_is_wrong(told: dict[str, Any]) -> None:
    """A prompt too long is told with both numbers, a wrong field by its name; the right key opens."""
    numbers = {int(number) for number in re.findall(r"\d+", told["errors"]["too long"]["message"])}
    assert 2048 in numbers
    assert any(number > 5000 for number in numbers)
    assert "temperature" in (told["errors"]["wrong type"]["param"] or "") + told["errors"]["wrong type"]["message"]
    assert told["errors"]["right key"] is None
