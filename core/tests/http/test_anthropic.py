from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Any

import anyio
import msgspec
import pytest
from frail_backends import Mortal, Slow
from swarmgate.chat import Delta, GenerateRequest
from swarmgate.echo import EchoBackend, EchoOptions
from swarmgate.errors import EngineError
from swarmgate.http.app import application
from swarmgate.http.door import Door
from visitor import Visitor

pytestmark = pytest.mark.anyio
MakeDoor = Callable[..., Door]

RESUMED = 'gateway_resumes_total{result="resumed",trigger="crash"} 1.0'
VERSION = {"anthropic-version": "2023-06-01"}
TOOL = {"name": "look", "input_schema": {"type": "object", "properties": {"at": {"type": "string"}}}}


class Dying(EchoBackend):
    """Says a word that nobody can go on with, and dies."""

    @asynccontextmanager
    async def generate(self, request: GenerateRequest) -> AsyncGenerator[AsyncIterator[Delta]]:
        async def deltas() -> AsyncGenerator[Delta]:
            yield Delta(text="word ")
            raise EngineError("it died")

        async with aclosing(deltas()) as dying:
            yield dying


def asked(text: str = "one two three four", **fields: Any) -> bytes:
    body = {"model": "echo", "max_tokens": 100, "messages": [{"role": "user", "content": text}], **fields}
    return msgspec.json.encode(body)


async def post(app: Any, body: bytes, path: str = "/v1/messages", headers: dict[str, str] | None = None) -> Visitor:
    return await Visitor(path=path, body=[body], headers=VERSION | (headers or {})).visit(app)


def events(visitor: Visitor) -> list[dict[str, Any]]:
    found = [
        event.partition(b"\ndata: ")[2] for event in visitor.content.split(b"\n\n") if event.startswith(b"event: ")
    ]
    return [msgspec.json.decode(data) for data in found]


def text_of(visitor: Visitor) -> str:
    return "".join(
        event["delta"].get("text", "") for event in events(visitor) if event["type"] == "content_block_delta"
    )


async def test_a_message_is_answered(make_door: MakeDoor) -> None:
    """Whole and streamed, with the request's id under Anthropic's name too."""
    app = application(make_door(EchoBackend()))
    whole = await post(app, asked(), headers={"X-Request-ID": "mine"})
    assert whole.json["content"] == [{"type": "text", "text": "one two three four"}]
    assert whole.json["id"].startswith("msg_")
    assert whole.answered["request-id"] == whole.answered["x-request-id"] == "mine"
    stream = await post(app, asked(stream=True))
    assert (text_of(stream), events(stream)[-1]) == ("one two three four", {"type": "message_stop"})
    assert stream.answered["content-type"] == "text/event-stream; charset=utf-8"


async def test_a_call_can_be_forced(make_door: MakeDoor) -> None:
    """Its input is an object, whole or in pieces."""
    app = application(make_door(EchoBackend()))
    forced = asked('{"at": "sky"}', tools=[TOOL], tool_choice={"type": "tool", "name": "look"})
    (block,) = (await post(app, forced)).json["content"]
    assert (block["type"], block["name"], block["input"]) == ("tool_use", "look", {"at": "sky"})


async def test_the_stop_sequence_is_told(make_door: MakeDoor) -> None:
    """That which was met."""
    answer = (await post(application(make_door(EchoBackend())), asked(stop_sequences=["four", "three"]))).json
    assert (answer["stop_reason"], answer["stop_sequence"]) == ("stop_sequence", "three")
    assert answer["content"] == [{"type": "text", "text": "one two "}]


async def test_tokens_are_counted_as_the_answer_counts_them(make_door: MakeDoor) -> None:
    """The count is that of the same conversation's answer."""
    app = application(make_door(EchoBackend()))
    fields: dict[str, Any] = {"system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}]}
    counted = await post(app, asked(**fields), "/v1/messages/count_tokens")
    usage = (await post(app, asked(**fields))).json["usage"]
    assert counted.json == {"input_tokens": usage["input_tokens"] + usage["cache_read_input_tokens"]}
    assert counted.answered["x-gateway-worker"] == "b0"


async def test_errors_are_anthropics(make_door: MakeDoor) -> None:
    """Unknown models, wrong bodies, wrong methods and unknown paths below."""
    app = application(make_door(EchoBackend()))
    missing = await post(app, asked(model="claude-opus-4"))
    assert (missing.status, missing.json["type"]) == (404, "error")
    assert missing.json["error"]["type"] == "not_found_error"
    assert "served here: 'echo'" in missing.json["error"]["message"]
    assert missing.json["request_id"] == missing.answered["request-id"]
    broken = await post(app, b"{")
    assert (broken.status, broken.json["error"]["type"]) == (400, "invalid_request_error")
    got = await Visitor(path="/v1/messages", method="GET").visit(app)
    assert (got.status, got.json["error"]["type"]) == (405, "invalid_request_error")
    batches = await Visitor(path="/v1/messages/batches", method="GET").visit(app)
    assert (batches.status, batches.json["error"]["type"]) == (404, "not_found_error")


async def test_a_key_is_shown_in_either_way(make_door: MakeDoor) -> None:
    """As x-api-key or as Authorization; without, the error is Anthropic's."""
    app = application(make_door(EchoBackend(), api_keys=("sesame",)))
    for headers in ({"x-api-key": "sesame"}, {"Authorization": "Bearer sesame"}):
        assert (await post(app, asked(), headers=headers)).status == 200
    refused = await post(app, asked(), headers={"x-api-key": "simsim"})
    assert (refused.status, refused.json["error"]["type"]) == (401, "authentication_error")
    assert refused.json["request_id"]


async def test_models_are_listed_in_anthropics_words_for_its_clients(make_door: MakeDoor) -> None:
    """At OpenAI's path, told apart by the header that Anthropic's clients send."""
    app = application(make_door(EchoBackend(EchoOptions(model="org/echo", aliases=("claude-opus-4",)))))
    page = (await Visitor(path="/v1/models", method="GET", headers=VERSION).visit(app)).json
    assert [(model["type"], model["id"], model["max_tokens"]) for model in page["data"]] == [
        ("model", "org/echo", 16384)
    ]
    one = await Visitor(path="/v1/models/claude-opus-4", method="GET", headers=VERSION).visit(app)
    assert one.json == page["data"][0]
    assert "object" in (await Visitor(path="/v1/models", method="GET").visit(app)).json


@pytest.mark.parametrize("stream", [False, True])
async def test_a_message_goes_on_when_its_engine_dies(make_door: MakeDoor, stream: bool) -> None:
    """In the same response, with the text it would have had."""
    door = make_door(Mortal(), EchoBackend())
    visitor = await post(application(door), asked(stream=stream))
    assert RESUMED in (await door.metrics.text()).decode()
    assert (text_of(visitor) if stream else visitor.json["content"][0]["text"]) == "one two three four"
    if stream:
        types = [event["type"] for event in events(visitor)]
        assert [kind for kind in types if kind != "content_block_delta"] == [
            "message_start",
            "content_block_start",
            "content_block_stop",
            "message_delta",
            "message_stop",
        ]


async def test_a_stream_that_fails_says_so(make_door: MakeDoor) -> None:
    """By an error event, and no stop."""
    visitor = await post(application(make_door(Dying())), asked(stream=True))
    last = events(visitor)[-1]
    assert (visitor.status, last["type"], last["error"]["type"]) == (200, "error", "api_error")
    assert last["request_id"] == visitor.answered["request-id"]
    assert "message_stop" not in visitor.content.decode()


async def test_a_silent_stream_pings(make_door: MakeDoor) -> None:
    """Also before its message begins."""
    slow = Slow()
    visitor = Visitor(path="/v1/messages", body=[asked(stream=True)], headers=VERSION)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(visitor.visit, application(make_door(slow, ping_seconds=0.01)))
        with anyio.fail_after(10):
            await visitor.until('event: ping\ndata: {"type":"ping"}')
        slow.speaks.set()
    found = [event["type"] for event in events(visitor)]
    assert (found[0], found[-1], text_of(visitor)) == ("ping", "message_stop", "one two three four")


async def test_hanging_up_ends_the_work(make_door: MakeDoor) -> None:
    """Before anything is said."""
    visitor = Visitor(path="/v1/messages", body=[asked(stream=True)], headers=VERSION)
    door = make_door(Slow())
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(visitor.visit, application(door))
            while not door.working:
                await anyio.lowlevel.checkpoint()
            visitor.hang_up()
    assert door.working == 0
