"""Uses the anthropic SDK as its users do, and prints what came of it as JSON.

python anthropic_sdk.py BASE_URL CHAT_MODEL EMBEDDING_MODEL LOCKED_URL KEY

Everything that came is held to the SDK's own types: it reads leniently by itself.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import anthropic
from anthropic import Anthropic
from anthropic.types import ErrorResponse, Message, MessageTokensCount, ModelInfo, RawMessageStreamEvent
from pydantic import TypeAdapter
from scenes import play

URL, MODEL, _, LOCKED_URL, KEY = sys.argv[1:]
CLIENT = Anthropic(base_url=URL, api_key="any", max_retries=0)
SYSTEM = "You are a helpful AI assistant."
DRAWN = {"temperature": 0}  # newer versions of the SDK have no parameter for it
GREEDY: dict[str, Any] = {
    "model": MODEL,
    "max_tokens": 24,
    "system": SYSTEM,
    "messages": [{"role": "user", "content": "Name the capital of France."}],
    "extra_body": DRAWN,
}
WEATHER: dict[str, Any] = {
    "name": "get_weather",
    "description": "Look the weather up.",
    "input_schema": {
        "type": "object",
        "properties": {"city": {"type": "string", "maxLength": 20}, "unit": {"enum": ["celsius", "fahrenheit"]}},
        "required": ["city", "unit"],
    },
    "cache_control": {"type": "ephemeral"},
}
FORCED: dict[str, Any] = {
    **GREEDY,
    "max_tokens": 120,
    "messages": [{"role": "user", "content": "What is the weather in Paris?"}],
    "tools": [WEATHER],
    "tool_choice": {"type": "tool", "name": "get_weather", "disable_parallel_tool_use": True},
}
EVENT: TypeAdapter[Any] = TypeAdapter(RawMessageStreamEvent)


def create(client: Anthropic = CLIENT, **request: Any) -> dict[str, Any]:
    """Ask for one message, hold its document to the type, and return it."""
    raw = client.messages.with_raw_response.create(**request)
    document = json.loads(raw.http_response.content)
    Message.model_validate(document)
    return {**document, "request_id": raw.parse()._request_id}


def events(**request: Any) -> list[dict[str, Any]]:
    """Ask for a stream, hold each event to the type, and return them."""
    found = []
    for event in CLIENT.messages.create(**request, stream=True):
        document = event.to_dict()
        EVENT.validate_python(document)
        found.append(document)
    return found


def message() -> Any:
    """One answer in one piece."""
    return create(**GREEDY)


def stream() -> Any:
    """The same in pieces, as they come."""
    return events(**GREEDY)


def stream_helper() -> Any:
    """The same by the SDK's own accumulator."""
    with CLIENT.messages.stream(**GREEDY) as stream:
        texts = list(stream.text_stream)
        return {"texts": texts, "final": stream.get_final_message().to_dict()}


def left_early() -> Any:
    """Hang up after the first piece, and ask again."""
    long = {**GREEDY, "max_tokens": 400, "messages": [{"role": "user", "content": "Tell a long story."}]}
    with CLIENT.messages.stream(**long) as stream:
        next(iter(stream.text_stream))
    return create(**GREEDY)["content"][0]["text"]


def ends() -> Any:
    """The reasons to end."""
    return {
        "max_tokens": create(**{**GREEDY, "max_tokens": 3}),
        "stop_sequence": create(**GREEDY, stop_sequences=["xyz", " of"]),
        "streamed": events(**GREEDY, stop_sequences=["xyz", " of"])[-2],
    }


def forced_call() -> Any:
    """A call the model is made to make, in one piece and in many, and its result told."""
    whole = create(**FORCED)
    with CLIENT.messages.stream(**FORCED) as stream:
        kinds = [event.type for event in stream]
        streamed = stream.get_final_message().to_dict()
    call = next(block for block in whole["content"] if block["type"] == "tool_use")
    result = {"type": "tool_result", "tool_use_id": call["id"], "content": "No such city.", "is_error": True}
    turns = [
        *FORCED["messages"],
        {"role": "assistant", "content": whole["content"]},
        {"role": "user", "content": [result, {"type": "text", "text": "Then guess."}]},
    ]
    told = create(**{**FORCED, "messages": turns, "tool_choice": {"type": "none"}, "max_tokens": 8})
    return {"whole": whole, "streamed": streamed, "kinds": sorted(set(kinds)), "told": told}


def coding() -> Any:
    """As a coding agent asks: long system blocks that are cached, tools, an id of its user, what betas want."""
    rules = " ".join(f"Rule {number}: be brief." for number in range(60))
    request: dict[str, Any] = {
        **GREEDY,
        "max_tokens": 8,
        "system": [
            {"type": "text", "text": SYSTEM},
            {"type": "text", "text": rules, "cache_control": {"type": "ephemeral", "ttl": "1h"}},
        ],
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "<system-reminder>Today is Monday.</system-reminder>"},
                    {"type": "text", "text": "Name the capital of France.", "cache_control": {"type": "ephemeral"}},
                ],
            }
        ],
        "tools": [{**WEATHER, "name": f"tool_{number}"} for number in range(3)],
        "tool_choice": {"type": "auto"},
        "metadata": {"user_id": "user_1_session_2"},
        "extra_headers": {"anthropic-beta": "claude-code-20250219,interleaved-thinking-2025-05-14"},
        "extra_query": {"beta": "true"},
        "extra_body": {**DRAWN, "context_management": {"edits": []}},
    }
    told = {name: request[name] for name in ("model", "system", "messages", "tools", "tool_choice")}
    counted = CLIENT.messages.count_tokens(**told).to_dict()
    MessageTokensCount.model_validate(counted)
    raw = CLIENT.messages.with_raw_response.create(**request)
    first = json.loads(raw.http_response.content)
    return {
        "counted": counted["input_tokens"],
        "first": first,
        "ignored": raw.http_response.headers.get("x-gateway-ignored-fields"),
        "again": events(**request)[-2]["usage"],
    }


def thinking() -> Any:
    """Wanted or not, a model that does not think answers."""
    wanted = {"type": "enabled", "budget_tokens": 1024}
    return [create(**GREEDY, thinking=thinking)["content"][-1]["text"] for thinking in (wanted, {"type": "disabled"})]


def json_schema() -> Any:
    """Text of a given form."""
    schema = {"type": "object", "properties": {"yes": {"type": "boolean"}}, "required": ["yes"]}
    form = {"format": {"type": "json_schema", "schema": schema}}
    asked = {**GREEDY, "max_tokens": 60, "extra_body": {**DRAWN, "output_config": form}}
    return create(**asked)["content"][0]["text"]


def models() -> Any:
    """What is served."""
    listed = [model.to_dict() for model in CLIENT.models.list()]
    one = CLIENT.models.retrieve(MODEL).to_dict()
    for model in (*listed, one):
        ModelInfo.model_validate(model)
    return {"listed": [model["id"] for model in listed], "one": one["id"]}


def errors() -> Any:
    """The SDK's own exception classes for what goes wrong, each with the error's type and the request's id."""
    picture = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}}
    stranger = Anthropic(base_url=LOCKED_URL, api_key="wrong", max_retries=0)
    wrong: dict[str, tuple[Anthropic, dict[str, Any]]] = {
        "unknown model": (CLIENT, {**GREEDY, "model": "claude-opus-4"}),
        "too long": (CLIENT, {**GREEDY, "messages": [{"role": "user", "content": "word " * 5000}]}),
        "picture": (CLIENT, {**GREEDY, "messages": [{"role": "user", "content": [picture]}]}),
        "begun": (CLIENT, {**GREEDY, "messages": [*GREEDY["messages"], {"role": "assistant", "content": "It is"}]}),
        "web search": (CLIENT, {**GREEDY, "tools": [{"type": "web_search_20250305", "name": "web_search"}]}),
        "wrong key": (stranger, {**GREEDY, "model": "echo"}),
    }
    seen: dict[str, Any] = {}
    for name, (client, request) in wrong.items():
        try:
            client.messages.create(**request)
            seen[name] = None
        except anthropic.APIStatusError as error:
            document: Any = error.body
            ErrorResponse.model_validate(document)
            ids = error.request_id is not None and document["request_id"] == error.request_id
            seen[name] = [type(error).__name__, document["error"]["type"], ids]
    return seen


def with_key() -> Any:
    """The key opens what is locked, however this version of the SDK shows it."""
    friend = Anthropic(base_url=LOCKED_URL, api_key=KEY, max_retries=0)
    return create(friend, **{**GREEDY, "model": "echo", "max_tokens": 100})["content"][0]["text"]


def main() -> None:
    """Do everything; what raises is told, not hidden."""
    scenes = (
        message,
        stream,
        stream_helper,
        left_early,
        ends,
        forced_call,
        coding,
        thinking,
        json_schema,
        models,
        errors,
        with_key,
    )
    play(scenes, default=str)


if __name__ == "__main__":
    main()
