"""Uses the openai package's Responses as its users do, and prints what came of it as JSON.

python responses_sdk.py BASE_URL CHAT_MODEL
"""

from __future__ import annotations

import asyncio
import json
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import openai
from openai import AsyncOpenAI, OpenAI, pydantic_function_tool
from openai.types.responses import Response, ResponseItemList, ResponseStreamEvent
from pydantic import BaseModel, TypeAdapter
from scenes import play

URL, MODEL = sys.argv[1:3]
ASKED: dict[str, Any] = {
    "model": MODEL,
    "instructions": "You are a helpful AI assistant.",
    "input": "Name the capital of France.",
    "temperature": 0,
    "max_output_tokens": 24,
}
WEATHER: dict[str, Any] = {
    "type": "function",
    "name": "get_weather",
    "description": "Get the weather of a city",
    "strict": True,
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string", "maxLength": 20}, "unit": {"enum": ["celsius", "fahrenheit"]}},
        "required": ["city", "unit"],
        "additionalProperties": False,
    },
}
FORCED: dict[str, Any] = {
    "model": MODEL,
    "input": "How is the weather in Paris, in celsius?",
    "tools": [WEATHER],
    "tool_choice": {"type": "function", "name": "get_weather"},
    "temperature": 0,
    "max_output_tokens": 120,
}
client = OpenAI(base_url=URL, api_key="none needed", max_retries=0)


class Place(BaseModel):
    """What the model is asked to fill in."""

    capital: bool
    language: str


class GetWeather(BaseModel):
    """A function as the SDK's helper describes it."""

    warm: bool


def whole() -> Any:
    """One answer in one piece."""
    answer = client.responses.create(**ASKED)
    return {"text": answer.output_text, "response": answer.model_dump()}


def stream() -> Any:
    """The same in events."""
    return [event.model_dump() for event in client.responses.create(**ASKED, stream=True)]


def helper() -> Any:
    """The same by the helper that puts the events together."""
    with client.responses.stream(**ASKED) as events:
        kinds = [event.type for event in events]
        final = events.get_final_response()
    return {"kinds": kinds, "text": final.output_text}


def parsed() -> Any:
    """An answer in the form of a class, whole and by the helper."""
    asked = {**ASKED, "input": "Is Paris a capital, and what is spoken there?", "max_output_tokens": 100}
    answer = client.responses.parse(**asked, text_format=Place)
    with client.responses.stream(**asked, text_format=Place) as events:
        streamed = events.until_done().get_final_response()
    assert answer.output_parsed is not None
    assert streamed.output_parsed is not None
    return [answer.output_parsed.model_dump(), streamed.output_parsed.model_dump()]


def parsed_call() -> Any:
    """A call in the form of a class."""
    tool: Any = pydantic_function_tool(GetWeather, name="GetWeather")
    asked = {**FORCED, "tools": [tool], "tool_choice": "required"}
    call: Any = client.responses.parse(**asked).output[0]
    return {"type": call.type, "warm": call.parsed_arguments.warm}


def call() -> Any:
    """A call, and the answer to what came of it."""
    first = client.responses.create(**FORCED)
    made = first.output[0]
    assert made.type == "function_call"
    result: Any = {"type": "function_call_output", "call_id": made.call_id, "output": '{"degrees": 21}'}
    plain = {"model": MODEL, "tools": [WEATHER], "temperature": 0, "max_output_tokens": 16, "tool_choice": "none"}
    kept = client.responses.create(**plain, input=[result], previous_response_id=first.id)
    asked: list[Any] = [{"role": "user", "content": FORCED["input"]}, *first.output, result]
    sent = client.responses.create(**plain, input=asked, store=False)
    return {"call": made.model_dump(), "kept": kept.model_dump(), "sent": sent.model_dump()}


def call_streamed() -> Any:
    """The same call in events, and by the helper."""
    events = [event.model_dump() for event in client.responses.create(**FORCED, stream=True)]
    with client.responses.stream(**FORCED) as pieces:
        snapshots = [event.snapshot for event in pieces if event.type == "response.function_call_arguments.delta"]
        final = pieces.get_final_response()
    return {"events": events, "snapshot": snapshots[-1], "final": final.output[0].model_dump()}


def conversation() -> Any:
    """Two turns, what is kept of them, and what is not."""
    first = client.responses.create(**{**ASKED, "input": "My name is Ada."})
    second = client.responses.create(**{**ASKED, "input": "What is my name?"}, previous_response_id=first.id)
    again = client.responses.retrieve(second.id)
    items = [item.model_dump() for item in client.responses.input_items.list(second.id)]
    client.responses.delete(first.id)
    with told() as gone:
        client.responses.retrieve(first.id)
    with told() as broken:
        client.responses.create(**ASKED, previous_response_id=second.id)
    with told() as cancelled:
        client.responses.cancel(second.id)
    read = [answer.usage.input_tokens if answer.usage else 0 for answer in (first, second)]
    return {
        "same": again.model_dump() == second.model_dump(),
        "items": items,
        "read": read,
        "gone": gone,
        "broken": broken,
        "cancelled": cancelled,
    }


def cut_off() -> Any:
    """An answer that had to stop early, whole and in events."""
    asked = {**ASKED, "max_output_tokens": 3}
    last = list(client.responses.create(**asked, stream=True))[-1]
    return {"whole": client.responses.create(**asked).model_dump(), "last": last.type}


def logprobs() -> Any:
    """Probabilities of the tokens."""
    answer = client.responses.create(**ASKED, include=["message.output_text.logprobs"], top_logprobs=2)
    message: Any = answer.output[0]
    return [token.model_dump() for token in message.content[0].logprobs]


def at_once() -> Any:
    """Three questions at the same time by the asynchronous client."""

    async def ask() -> list[str]:
        async with AsyncOpenAI(base_url=URL, api_key="none needed", max_retries=0) as several:
            answers = await asyncio.gather(*(several.responses.create(**ASKED) for _ in range(3)))
        return [answer.output_text for answer in answers]

    return asyncio.run(ask())


def left_early() -> Any:
    """A stream nobody reads to its end, and a question after it."""
    with client.responses.create(**{**ASKED, "max_output_tokens": 1000}, stream=True) as events:
        next(iter(events))
    return client.responses.create(**ASKED).output_text


def strict() -> Any:
    """Everything as it is on the wire, held against the SDK's types without any mercy."""
    event = TypeAdapter(ResponseStreamEvent)
    checked: list[str] = []
    for asked in (
        ASKED,
        {**ASKED, "max_output_tokens": 3, "metadata": {"a": "b"}, "reasoning": {"effort": "low"}, "truncation": "auto"},
        {**ASKED, "include": ["message.output_text.logprobs"], "top_logprobs": 2},
        FORCED,
        {**ASKED, "text": {"format": {"type": "json_object"}}},
    ):
        answer = fetched("responses", asked)
        Response.model_validate_json(answer, strict=True)
        name = json.loads(answer)["id"]
        Response.model_validate_json(fetched(f"responses/{name}"), strict=True)
        ResponseItemList.model_validate_json(fetched(f"responses/{name}/input_items"), strict=True)
        for line in fetched("responses", {**asked, "stream": True}).splitlines():
            if line.startswith("data: "):
                found = event.validate_json(line.removeprefix("data: "), strict=True)
                checked.append(found.type)
    return sorted(set(checked))


def fetched(path: str, body: dict[str, Any] | None = None) -> str:
    """Return what the gateway says at *path*, as it says it."""
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(f"{URL}/{path}", data), timeout=300) as answer:
        return answer.read().decode()


def errors() -> Any:
    """The SDK's own exception classes for what goes wrong."""
    wrong: dict[str, dict[str, Any]] = {
        "unknown model": {"model": "no-such-model"},
        "too long": {"input": "word " * 5000},
        "too long streamed": {"input": "word " * 5000, "stream": True},
        "in the background": {"background": True},
        "a tool of OpenAI's": {"tools": [{"type": "web_search"}]},
        "a picture": {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "data:"}]}]},
    }
    seen: dict[str, Any] = {}
    for name, fields in wrong.items():
        with told() as error:
            client.responses.create(**{**ASKED, **fields})
        seen[name] = error
    return seen


@contextmanager
def told() -> Iterator[dict[str, Any]]:
    """Give what the SDK raises in the body; nothing if it raises nothing."""
    seen: dict[str, Any] = {}
    try:
        yield seen
    except openai.APIStatusError as error:
        seen |= {"class": type(error).__name__, "status": error.status_code, "code": error.code, "param": error.param}


def main() -> None:
    """Do everything; what raises is told, not hidden."""
    scenes: list[Callable[[], Any]] = [
        whole, stream, helper, parsed, parsed_call, call, call_streamed, conversation, cut_off, logprobs, at_once,
        left_early, strict, errors,
    ]  # fmt: skip
    play(scenes, version=openai.__version__)


if __name__ == "__main__":
    main()
