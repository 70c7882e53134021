"""Uses the openai package as its users do, and prints what came of it as JSON.

python openai_sdk.py BASE_URL CHAT_MODEL EMBEDDING_MODEL [URL_THAT_WANTS_A_KEY KEY]
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import openai
from openai import AsyncOpenAI, OpenAI
from pydantic import BaseModel
from scenes import play

URL, MODEL, EMBEDDER, *LOCKED = sys.argv[1:]
QUESTION: list[Any] = [
    {"role": "system", "content": "You are a helpful AI assistant."},
    {"role": "user", "content": "Name the capital of France."},
]
GREEDY: dict[str, Any] = {"model": MODEL, "messages": QUESTION, "temperature": 0, "max_tokens": 24}
WEATHER: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the weather of a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "maxLength": 20}, "unit": {"enum": ["celsius", "fahrenheit"]}},
            "required": ["city", "unit"],
            "additionalProperties": False,
        },
    },
}
FORCED: dict[str, Any] = {
    "model": MODEL,
    "messages": [{"role": "user", "content": "How is the weather in Paris, in celsius?"}],
    "tools": [WEATHER],
    "tool_choice": {"type": "function", "function": {"name": "get_weather"}},
    "temperature": 0,
    "max_tokens": 120,
}
client = OpenAI(base_url=URL, api_key="none needed", max_retries=0)


class Place(BaseModel):
    """What the model is asked to fill in."""

    capital: bool
    language: str


def chat() -> Any:
    """One answer in one piece."""
    return client.chat.completions.create(**GREEDY).model_dump()


def stream() -> Any:
    """The same in pieces, without usage."""
    return [chunk.model_dump() for chunk in client.chat.completions.create(**GREEDY, stream=True)]


def stream_with_usage() -> Any:
    """The same with the extra chunk."""
    options: Any = {"include_usage": True}
    chunks = client.chat.completions.create(**GREEDY, stream=True, stream_options=options)
    return [chunk.model_dump() for chunk in chunks]


def stream_left_early() -> Any:
    """A stream nobody reads to its end, and a question after it."""
    with client.chat.completions.create(**{**GREEDY, "max_tokens": 1000}, stream=True) as chunks:
        next(iter(chunks))
    return client.chat.completions.create(**GREEDY).choices[0].message.content


def several_choices() -> Any:
    """Two answers to one question."""
    sampled = {**GREEDY, "temperature": 1.0, "max_tokens": 8}
    answer = client.chat.completions.create(**sampled, n=2, seed=7)
    return [choice.model_dump() for choice in answer.choices]


def seeded() -> Any:
    """The same seed twice, then another one."""
    sampled = {**GREEDY, "temperature": 1.5, "max_tokens": 16}
    return [client.chat.completions.create(**sampled, seed=seed).choices[0].message.content for seed in (1, 1, 2)]


def cut_off() -> Any:
    """An answer that had to stop early."""
    return client.chat.completions.create(**{**GREEDY, "max_tokens": 3}).choices[0].model_dump()


def stopped() -> Any:
    """An answer up to a word."""
    return client.chat.completions.create(**GREEDY, stop=[" of France"]).choices[0].model_dump()


def logprobs() -> Any:
    """Probabilities of the tokens and of the likeliest others."""
    answer = client.chat.completions.create(**{**GREEDY, "max_tokens": 4}, logprobs=True, top_logprobs=3)
    assert answer.choices[0].logprobs is not None
    return answer.choices[0].logprobs.model_dump()


def forced_call() -> Any:
    """A call the model is made to make."""
    return client.chat.completions.create(**FORCED).choices[0].model_dump()


def forced_call_streamed() -> Any:
    """The same in pieces, put together as the SDK's users do."""
    name, arguments, ids, finish = "", "", set[str](), None
    for chunk in client.chat.completions.create(**FORCED, stream=True):
        for choice in chunk.choices:
            finish = choice.finish_reason or finish
            for call in choice.delta.tool_calls or []:
                assert call.function is not None
                ids |= {call.id} if call.id else set()
                name += call.function.name or ""
                arguments += call.function.arguments or ""
    return {"name": name, "arguments": arguments, "ids": sorted(ids), "finish_reason": finish}


def call_and_result() -> Any:
    """The call's result goes back, and the model says something about it."""
    call = client.chat.completions.create(**FORCED).choices[0].message
    told: list[Any] = [*FORCED["messages"], call.model_dump(exclude_none=True)]
    assert call.tool_calls is not None
    told.append({"role": "tool", "tool_call_id": call.tool_calls[0].id, "content": "21 degrees, sunny"})
    answer = client.chat.completions.create(
        model=MODEL, messages=told, tools=[WEATHER], tool_choice="none", max_tokens=24
    )
    return answer.choices[0].message.content


def json_object() -> Any:
    """Any JSON object."""
    asked: Any = [{"role": "user", "content": "Write one small JSON object with the key name. Be short."}]
    form: Any = {"type": "json_object"}
    answer = client.chat.completions.create(
        model=MODEL, messages=asked, response_format=form, temperature=0, max_tokens=200
    )
    return answer.choices[0].model_dump()


def json_schema() -> Any:
    """JSON of a given form, by the SDK's own helper, which decodes it into a pydantic model."""
    answer = client.chat.completions.parse(**{**GREEDY, "max_tokens": 200}, response_format=Place)
    place = answer.choices[0].message.parsed
    assert isinstance(place, Place)
    return place.model_dump()


def parts_and_developer() -> Any:
    """A message in parts, and the newer name of the system role."""
    told: Any = [
        {"role": "developer", "content": "You are a helpful AI assistant."},
        {
            "role": "user",
            "content": [{"type": "text", "text": "Name the capital "}, {"type": "text", "text": "of France."}],
        },
    ]
    answer = client.chat.completions.create(model=MODEL, messages=told, temperature=0, max_completion_tokens=12)
    return answer.model_dump()


def completion() -> Any:
    """Text that is continued, with the two likeliest tokens at each place."""
    text = "The capital of France is"
    return client.completions.create(model=MODEL, prompt=text, max_tokens=8, temperature=0, logprobs=2).model_dump()


def completion_stream() -> Any:
    """The same in pieces."""
    text = "The capital of France is"
    chunks = client.completions.create(model=MODEL, prompt=text, max_tokens=8, temperature=0, stream=True)
    return "".join(choice.text for chunk in chunks for choice in chunk.choices)


def embeddings() -> Any:
    """Vectors: as the SDK asks by default (base64), and as plain numbers."""
    texts = ["the weather in Paris", "weather in Paris today", "def add(numbers)"]
    packed = client.embeddings.create(model=EMBEDDER, input=texts)
    plain = client.embeddings.create(model=EMBEDDER, input=texts[0], encoding_format="float")
    return {
        "packed": [item.embedding for item in packed.data],
        "plain": plain.data[0].embedding,
        "usage": packed.usage.model_dump(),
    }


def models() -> Any:
    """The list, and each by its name."""
    listed = [model.model_dump() for model in client.models.list()]
    return {"listed": listed, "retrieved": [client.models.retrieve(model["id"]).model_dump() for model in listed]}


def headers() -> Any:
    """What stands in the answer's head."""
    named = {"X-Request-ID": "journey-1"}
    raw = client.chat.completions.with_raw_response.create(**{**GREEDY, "max_tokens": 1}, extra_headers=named)
    unknown = client.chat.completions.with_raw_response.create(
        **{**GREEDY, "max_tokens": 1}, extra_body={"no_such_field": 1}
    )
    return {
        "named": dict(raw.headers),
        "unknown": dict(unknown.headers),
        "content": raw.parse().choices[0].finish_reason,
    }


def at_once() -> Any:
    """Three questions at the same time by the asynchronous client."""

    async def ask() -> list[str | None]:
        async with AsyncOpenAI(base_url=URL, api_key="none needed", max_retries=0) as several:
            answers = await asyncio.gather(*(several.chat.completions.create(**GREEDY) for _ in range(3)))
        return [answer.choices[0].message.content for answer in answers]

    return asyncio.run(ask())


def errors() -> Any:
    """The SDK's own exception classes for what goes wrong."""
    long: Any = [{"role": "user", "content": "word " * 5000}]
    wrong: dict[str, Any] = {
        "unknown model": lambda: client.chat.completions.create(**{**GREEDY, "model": "no-such-model"}),
        "unknown model retrieved": lambda: client.models.retrieve("no/such/model"),
        "too long": lambda: client.chat.completions.create(**{**GREEDY, "messages": long}),
        "too long streamed": lambda: client.chat.completions.create(**{**GREEDY, "messages": long}, stream=True),
        "wrong type": lambda: client.chat.completions.create(**{**GREEDY, "temperature": "hot"}),
        "no messages": lambda: client.chat.completions.create(**{**GREEDY, "messages": []}),
        "chat model embeds": lambda: client.embeddings.create(model=MODEL, input="text"),
        "embedder chats": lambda: client.chat.completions.create(**{**GREEDY, "model": EMBEDDER}),
    }
    if LOCKED:
        closed, key = LOCKED
        stranger = OpenAI(base_url=closed, api_key="wrong", max_retries=0)
        friend = OpenAI(base_url=closed, api_key=key, max_retries=0)
        wrong["wrong key"] = stranger.models.list
        wrong["right key"] = friend.models.list
    seen: dict[str, Any] = {}
    for name, attempt in wrong.items():
        try:
            attempt()
            seen[name] = None
        except openai.APIStatusError as error:
            body: Any = error.body
            seen[name] = {
                "class": type(error).__name__,
                "status": error.status_code,
                "code": error.code,
                "type": error.type,
                "param": error.param,
                "message": body["message"],
            }
    return seen


def main() -> None:
    """Do everything; what raises is told, not hidden."""
    scenes = [
        chat, stream, stream_with_usage, stream_left_early, several_choices, seeded, cut_off, stopped, logprobs,
        forced_call, forced_call_streamed, call_and_result, json_object, json_schema, parts_and_developer, completion,
        completion_stream, embeddings, models, headers, at_once, errors,
    ]  # fmt: skip
    play(scenes, version=openai.__version__)


if __name__ == "__main__":
    main()
