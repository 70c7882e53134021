"""Uses litellm as its users do, and prints what came of it as JSON.

python litellm_client.py BASE_URL CHAT_MODEL EMBEDDING_MODEL
"""

from __future__ import annotations

import sys
from typing import Any

import litellm
from scenes import play

URL, MODEL, EMBEDDER = sys.argv[1:]
REACH: dict[str, Any] = {"api_base": URL, "api_key": "none needed", "max_retries": 0}
GREEDY: dict[str, Any] = {
    "model": f"openai/{MODEL}",
    "messages": [
        {"role": "system", "content": "You are a helpful AI assistant."},
        {"role": "user", "content": "Name the capital of France."},
    ],
    "temperature": 0,
    "max_tokens": 24,
    **REACH,
}
WEATHER: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "maxLength": 20}},
            "required": ["city"],
        },
    },
}


def chat() -> Any:
    """One answer in one piece."""
    return litellm.completion(**GREEDY).model_dump()


def stream() -> Any:
    """The same in pieces."""
    return "".join(chunk.choices[0].delta.content or "" for chunk in litellm.completion(**GREEDY, stream=True))


def forced_call() -> Any:
    """A call the model is made to make."""
    choice = {"type": "function", "function": {"name": "get_weather"}}
    asked = {**GREEDY, "max_tokens": 120, "tools": [WEATHER], "tool_choice": choice}
    return litellm.completion(**asked).choices[0].message.model_dump()


def json_schema() -> Any:
    """JSON of a given form."""
    schema = {"type": "object", "properties": {"yes": {"type": "boolean"}}, "required": ["yes"]}
    form = {"type": "json_schema", "json_schema": {"name": "verdict", "strict": True, "schema": schema}}
    return litellm.completion(**{**GREEDY, "max_tokens": 120}, response_format=form).choices[0].message.content


def embeddings() -> Any:
    """Two vectors."""
    answer = litellm.embedding(model=f"openai/{EMBEDDER}", input=["one text", "two texts"], **REACH)
    return [len(item["embedding"]) for item in answer.data]


def errors() -> Any:
    """Litellm's own exception classes for what goes wrong."""
    long = [{"role": "user", "content": "word " * 5000}]
    wrong: dict[str, dict[str, Any]] = {
        "unknown model": {**GREEDY, "model": "openai/no-such-model"},
        "too long": {**GREEDY, "messages": long},
    }
    seen: dict[str, str | None] = {}
    for name, request in wrong.items():
        try:
            litellm.completion(**request)
            seen[name] = None
        except Exception as error:  # noqa: BLE001 - its class is the result
            seen[name] = type(error).__name__
    return seen


def main() -> None:
    """Do everything; what raises is told, not hidden."""
    play((chat, stream, forced_call, json_schema, embeddings, errors), default=str)


if __name__ == "__main__":
    main()
