from __future__ import annotations

import json
from typing import Any

import pytest

pytestmark = [pytest.mark.clients, pytest.mark.engine, pytest.mark.timeout(600)]
ANSWER = "The capital of France is Paris."
NAME = "local/smollm2:latest"


@pytest.fixture(scope="session")
def told(answers: Any) -> dict[str, Any]:
    return answers("ollama", "ollama_sdk.py")


def test_a_chat_is_answered(told: dict[str, Any]) -> None:
    """One question, one right answer, with counts and durations."""
    answer = told["chat"]
    assert (answer["message"]["role"], answer["message"]["content"]) == ("assistant", ANSWER)
    assert (answer["model"], answer["done"], answer["done_reason"]) == (NAME, True, "stop")
    assert answer["prompt_eval_count"] > 10
    assert answer["eval_count"] in {7, 8}  # with or without the token that ends it
    assert answer["total_duration"] >= answer["eval_duration"] > 0


def test_a_stream_says_the_same(told: dict[str, Any]) -> None:
    """In several lines, the last of which has the counts."""
    *parts, last = told["stream"]
    assert "".join(part["message"]["content"] for part in parts) == ANSWER
    assert len(parts) > 3
    assert not any(part["done"] for part in parts)
    assert (last["done"], last["message"]["content"]) == (True, "")
    assert last["eval_count"] == told["chat"]["eval_count"]


def test_a_stream_may_be_left(told: dict[str, Any]) -> None:
    """Whoever hangs up early can ask again at once."""
    assert told["left_early"] == ANSWER


def test_a_text_is_answered_or_continued(told: dict[str, Any]) -> None:
    """By the model's template, or raw; and a model that is to be loaded is."""
    generated = told["generate"]
    assert generated["whole"]["response"] == generated["streamed"] == ANSWER
    assert generated["raw"].startswith(" Paris")
    assert generated["load"] == "load"


def test_tools_and_results_are_told(told: dict[str, Any]) -> None:
    """Without ids, as this client tells them."""
    *_, last = told["tools"]
    assert last["done"]
    assert last["prompt_eval_count"] > told["chat"]["prompt_eval_count"] + 50


def test_json_obeys_its_schema(told: dict[str, Any]) -> None:
    """A format that is a schema reaches the engine."""
    assert isinstance(json.loads(told["json_schema"])["yes"], bool)


def test_logprobs_are_there(told: dict[str, Any]) -> None:
    """Each token's own, and the asked number of likeliest ones."""
    assert "".join(entry["token"] for entry in told["logprobs"]) == "The capital of"
    assert all(len(entry["top_logprobs"]) == 2 and entry["logprob"] <= 0 for entry in told["logprobs"])


def test_texts_are_embedded(told: dict[str, Any]) -> None:
    """Several, one, in the older way, and what is too long in part."""
    embedded = told["embed"]
    assert (embedded["two"], embedded["one"], embedded["older"], embedded["long"]) == ([64, 64], 1, 64, 64)
    assert embedded["count"] > 2


def test_models_are_listed_and_shown(told: dict[str, Any]) -> None:
    """With what Ollama's clients show of them."""
    models = told["models"]
    assert [model["model"] for model in models["listed"]] == [NAME, "tiny-bert:latest"] == models["running"]
    details = models["listed"][0]["details"]
    assert (details["family"], details["parameter_size"], details["quantization_level"]) == ("llama", "134.5M", "Q4_1")
    assert models["listed"][0]["size"] > 50_000_000
    assert models["shown"]["capabilities"] == ["completion", "tools"]
    assert models["shown"]["modelinfo"]["llama.context_length"] == 2048
    assert models["embedder"] == ["embedding"]


def test_errors_are_the_clients_own(told: dict[str, Any]) -> None:
    """With their status and what to do, streamed or not."""
    errors = told["errors"]
    assert {name: found and found[0] for name, found in errors.items()} == {
        "unknown model": 404,
        "unknown, streamed": 404,
        "too long": 400,
        "picture": 400,
        "template": 400,
        "pull": 501,
        "wrong key": 401,
    }
    assert "served here: 'local/smollm2'" in errors["unknown model"][1]
    assert "leave them out" in errors["picture"][1]


def test_the_key_opens(told: dict[str, Any]) -> None:
    """Shown in the header that the client is told to send."""
    assert told["with_key"] == "Name the capital of France."
