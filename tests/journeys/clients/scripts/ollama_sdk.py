"""Uses the ollama client as its users do, and prints what came of it as JSON.

python ollama_sdk.py URL CHAT_MODEL EMBEDDING_MODEL LOCKED_URL KEY

The client holds all that comes to its own types.
"""

from __future__ import annotations

import sys
from typing import Any

from ollama import Client, ResponseError
from scenes import play

URL, MODEL, EMBEDDER, LOCKED_URL, KEY = sys.argv[1:]
CLIENT = Client(host=URL)
MESSAGES: list[dict[str, Any]] = [
    {"role": "system", "content": "You are a helpful AI assistant."},
    {"role": "user", "content": "Name the capital of France."},
]
GREEDY: dict[str, Any] = {"temperature": 0, "num_predict": 24, "num_ctx": 4096}
ASK: dict[str, Any] = {"model": f"{MODEL}:latest", "messages": MESSAGES, "options": GREEDY}


def get_weather(city: str) -> str:
    """Look the weather up.

    Args:
      city: The city

    Returns:
      str: The weather

    """
    return f"rain in {city}"


def chat() -> Any:
    """One answer in one piece."""
    return CLIENT.chat(**ASK).model_dump()


def stream() -> Any:
    """The same in pieces."""
    return [part.model_dump() for part in CLIENT.chat(**ASK, stream=True)]


def left_early() -> Any:
    """Hang up after the first piece, and ask again."""
    long = {**ASK, "options": {"num_predict": 400}, "messages": [{"role": "user", "content": "Tell a long story."}]}
    parts = CLIENT.chat(**long, stream=True)
    next(parts)
    parts.close()
    return CLIENT.chat(**ASK).message.content


def generate() -> Any:
    """A text, answered, streamed, and continued raw."""
    asked = {"model": MODEL, "prompt": MESSAGES[1]["content"], "system": MESSAGES[0]["content"], "options": GREEDY}
    return {
        "whole": CLIENT.generate(**asked).model_dump(),
        "streamed": "".join(part.response or "" for part in CLIENT.generate(**asked, stream=True)),
        "raw": CLIENT.generate(
            model=MODEL, prompt="The capital of France is", raw=True, options={"temperature": 0, "num_predict": 2}
        ).response,
        "load": CLIENT.generate(model=MODEL).done_reason,
    }


def tools() -> Any:
    """A past call and its result, told; and tools that may be called."""
    call = {"function": {"name": "get_weather", "arguments": {"city": "Paris"}}}
    messages = [
        *MESSAGES,
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "tool_name": "get_weather", "content": get_weather("Paris")},
    ]
    asked = {**ASK, "messages": messages, "options": {"temperature": 0, "num_predict": 8}}
    return [part.model_dump() for part in CLIENT.chat(**asked, tools=[get_weather], stream=True)]


def json_schema() -> Any:
    """Text of a given form, and just JSON."""
    schema = {"type": "object", "properties": {"yes": {"type": "boolean"}}, "required": ["yes"]}
    return CLIENT.chat(**ASK, format=schema).message.content


def logprobs() -> Any:
    """Of each token, its own and the likeliest ones."""
    found = CLIENT.chat(**{**ASK, "options": {"temperature": 0, "num_predict": 3}}, logprobs=True, top_logprobs=2)
    return [entry.model_dump() for entry in found.logprobs or ()]


def embed() -> Any:
    """Two vectors, one, one in the older way, and one of what is too long."""
    two = CLIENT.embed(model=EMBEDDER, input=["one text", "two texts"])
    return {
        "two": [len(vector) for vector in two.embeddings],
        "count": two.prompt_eval_count,
        "one": len(CLIENT.embed(model=EMBEDDER, input="one text").embeddings),
        "older": len(CLIENT.embeddings(model=EMBEDDER, prompt="one text").embedding),
        "long": len(CLIENT.embed(model=EMBEDDER, input="word " * 5000).embeddings[0]),
    }


def models() -> Any:
    """What is served, and what is loaded."""
    shown = CLIENT.show(f"{MODEL}:latest").model_dump()
    return {
        "listed": [model.model_dump() for model in CLIENT.list().models],
        "running": [model.model for model in CLIENT.ps().models],
        "shown": shown,
        "embedder": CLIENT.show(EMBEDDER).capabilities,
    }


def errors() -> Any:
    """What the client raises for what goes wrong, with the status."""
    wrong: dict[str, Any] = {
        "unknown model": lambda: CLIENT.chat(**{**ASK, "model": "no-such-model"}),
        "unknown, streamed": lambda: list(CLIENT.chat(**{**ASK, "model": "no-such-model"}, stream=True)),
        "too long": lambda: CLIENT.chat(**{**ASK, "messages": [{"role": "user", "content": "word " * 5000}]}),
        "picture": lambda: CLIENT.generate(model=MODEL, prompt="look", images=["aGk="]),
        "template": lambda: CLIENT.generate(model=MODEL, prompt="hi", template="{{ .Prompt }}"),
        "pull": lambda: CLIENT.pull("llama3"),
        "wrong key": lambda: Client(host=LOCKED_URL).chat(model="echo", messages=MESSAGES),
    }
    seen: dict[str, Any] = {}
    for name, do in wrong.items():
        try:
            do()
            seen[name] = None
        except ResponseError as error:
            seen[name] = [error.status_code, error.error]
    return seen


def with_key() -> Any:
    """The key opens what is locked."""
    friend = Client(host=LOCKED_URL, headers={"Authorization": f"Bearer {KEY}"})
    return friend.chat(model="echo", messages=MESSAGES).message.content


def main() -> None:
    """Do everything; what raises is told, not hidden."""
    scenes = (
        chat,
        stream,
        left_early,
        generate,
        tools,
        json_schema,
        logprobs,
        embed,
        models,
        errors,
        with_key,
    )
    play(scenes, default=str)


if __name__ == "__main__":
    main()
