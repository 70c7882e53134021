from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Any

import msgspec
import pytest
from litestar.types import ASGIApp
from swarmgate.chat import ChatPrompt, Delta, GenerateRequest, Message
from swarmgate.echo import EchoBackend, EchoOptions
from swarmgate.errors import EngineError
from swarmgate.http.app import application
from swarmgate.http.door import Door
from swarmgate.http.kept import Responses
from visitor import Visitor

pytestmark = pytest.mark.anyio
MakeDoor = Callable[..., Door]
_PATH = "/v1/responses"


class Hearing(EchoBackend):
    """Echoes, and remembers what it was told; after *pieces* of its first answer it dies."""

    def __init__(self, options: EchoOptions | None = None, *, pieces: int | None = None) -> None:
        super().__init__(options)
        self.asked: list[GenerateRequest] = []
        self._left = pieces

    @asynccontextmanager
    async def generate(self, request: GenerateRequest) -> AsyncGenerator[AsyncIterator[Delta]]:
        self.asked.append(request)
        async with super().generate(request) as deltas, aclosing(self._some(deltas)) as some:
            yield some

    async def _some(self, deltas: AsyncIterator[Delta]) -> AsyncGenerator[Delta]:
        async for delta in deltas:
            if self._left == 0:
                self._left = None
                raise EngineError("it died")
            if self._left is not None:
                self._left -= 1
            yield delta

    @property
    def heard(self) -> tuple[Message, ...]:
        """Return the messages of the last request."""
        prompt = self.asked[-1].prompt
        assert isinstance(prompt, ChatPrompt)
        return prompt.messages


async def ask(app: ASGIApp, said: Any, headers: dict[str, str] | None = None, **fields: Any) -> Visitor:
    body = msgspec.json.encode({"input": said, **fields})
    return await Visitor(path=_PATH, body=[body], headers=headers or {}).visit(app)


async def look(app: ASGIApp, path: str, method: str = "GET", query: str = "", key: str = "") -> Visitor:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    return await Visitor(path=f"{_PATH}/{path}", method=method, query=query, headers=headers).visit(app)


def text(response: dict[str, Any]) -> str:
    return "".join(part["text"] for item in response["output"] for part in item["content"])


def events(visitor: Visitor) -> list[dict[str, Any]]:
    blocks = [block for block in visitor.content.split(b"\n\n") if block.startswith(b"event: ")]
    return [msgspec.json.decode(block.partition(b"\ndata: ")[2]) for block in blocks]


async def test_a_response_is_answered(make_door: MakeDoor) -> None:
    """Whole or in events, with the same text."""
    app = application(make_door(EchoBackend()))
    whole = await ask(app, "hello there")
    assert (whole.status, whole.json["object"], text(whole.json)) == (200, "response", "hello there")
    streamed = await ask(app, "hello there", stream=True)
    assert streamed.answered["content-type"].startswith("text/event-stream")
    assert events(streamed)[0]["type"] == "response.created"
    assert text(events(streamed)[-1]["response"]) == "hello there"


async def test_a_response_goes_on_when_its_engine_dies(make_door: MakeDoor) -> None:
    """Another engine takes it over in the middle: the client sees one answer, and nothing twice."""
    dying = Hearing(pieces=3)
    visitor = await ask(application(make_door(dying, EchoBackend())), "one two three four five", stream=True)
    found = events(visitor)
    assert "".join(event["delta"] for event in found if "delta" in event) == "one two three four five"
    assert [event["sequence_number"] for event in found] == list(range(len(found)))
    assert found[-1]["type"] == "response.completed"
    assert b"x-gateway-resumed=1" in visitor.content
    assert len(dying.asked) == 1


async def test_a_response_that_cannot_go_on_fails_aloud(make_door: MakeDoor) -> None:
    """After its head, by an error and by what there is of it; before, by a status."""
    door = make_door(Hearing(pieces=2))
    found = events(await ask(application(door), "one two three", stream=True))
    assert [event["type"] for event in found[-2:]] == ["error", "response.failed"]
    assert found[-1]["response"]["status"] == "failed"
    assert text(found[-1]["response"]) == "one "
    early = await ask(application(make_door(Hearing(pieces=0))), "one", stream=True)
    assert (early.status, early.json["error"]["code"]) == (502, "engine_error")


async def test_a_conversation_goes_on(make_door: MakeDoor) -> None:
    """From the response that is named: all of it is read again, but for the instructions."""
    backend = Hearing()
    app = application(make_door(backend))
    first = await ask(app, "a", instructions="be brief")
    second = await ask(app, "b", previous_response_id=first.json["id"])
    await ask(app, "c", previous_response_id=second.json["id"], stream=True)
    assert [(each.role, each.content) for each in backend.heard] == [
        ("user", "a"),
        ("assistant", "a"),
        ("user", "b"),
        ("assistant", "b"),
        ("user", "c"),
    ]
    reference = {"type": "item_reference", "id": first.json["output"][0]["id"]}
    await ask(app, [reference, {"role": "user", "content": "d"}])
    assert [(each.role, each.content) for each in backend.heard] == [("assistant", "a"), ("user", "d")]


async def test_calls_and_their_results_are_part_of_it(make_door: MakeDoor) -> None:
    """The model reads its own call again, and what came of it."""
    backend = Hearing()
    app = application(make_door(backend))
    tools = [{"type": "function", "name": "look", "parameters": {"type": "object"}}]
    first = await ask(app, "a", tools=tools, tool_choice="required")
    call = first.json["output"][0]
    assert (call["type"], call["name"], call["arguments"]) == ("function_call", "look", "{}")
    output = {"type": "function_call_output", "call_id": call["call_id"], "output": "seen"}
    await ask(app, [output], previous_response_id=first.json["id"], tools=tools)
    assert [each.role for each in backend.heard] == ["user", "assistant", "tool"]
    assert backend.heard[1].tool_calls[0].id == backend.heard[2].tool_call_id == call["call_id"]


async def test_what_is_kept_can_be_looked_at(make_door: MakeDoor) -> None:
    """The response as it was sent, what it was asked with, and neither after it is forgotten."""
    app = application(make_door(EchoBackend()))
    response = (await ask(app, [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}])).json
    name = response["id"]
    assert (await look(app, name)).json == response
    assert (await look(app, name, "HEAD")).status == 200
    listed = (await look(app, f"{name}/input_items", query="limit=1")).json
    assert [item["content"][0]["text"] for item in listed["data"]] == ["b"]
    assert listed["has_more"] is True
    rest = (await look(app, f"{name}/input_items", query=f"after={listed['last_id']}")).json
    assert [item["content"][0]["text"] for item in rest["data"]] == ["a"]
    assert (await look(app, name, "DELETE")).json == {"id": name, "object": "response", "deleted": True}
    for path, method in ((name, "GET"), (name, "DELETE"), (f"{name}/input_items", "GET"), (f"{name}/cancel", "POST")):
        gone = await look(app, path, method)
        assert (gone.status, gone.json["error"]["code"]) == (404, "response_not_found")


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=x", "limit=-1", "order=up", "after=nothing"])
async def test_pages_that_cannot_be_are_refused(make_door: MakeDoor, query: str) -> None:
    """The error names the parameter."""
    app = application(make_door(EchoBackend()))
    name = (await ask(app, "a")).json["id"]
    visitor = await look(app, f"{name}/input_items", query=query)
    assert (visitor.status, visitor.json["error"]["param"]) == (400, query.partition("=")[0])


async def test_what_is_over_is_not_done_again(make_door: MakeDoor) -> None:
    """It is neither streamed a second time nor cancelled, and the client is told so."""
    app = application(make_door(EchoBackend()))
    name = (await ask(app, "a")).json["id"]
    again = await look(app, name, query="stream=true")
    assert (again.status, again.json["error"]["param"]) == (400, "stream")
    cancelled = await look(app, f"{name}/cancel", "POST")
    assert cancelled.status == 400
    assert "hang up" in cancelled.json["error"]["message"]


async def test_nothing_is_kept_that_is_not_to_be(make_door: MakeDoor) -> None:
    """With store turned off, or where the gateway keeps none; the response says so."""
    door = make_door(EchoBackend())
    response = (await ask(application(door), "a", store=False)).json
    assert response["store"] is False
    assert (await look(application(door), response["id"])).status == 404
    door.responses = Responses(0)
    assert (await ask(application(door), "a", store=True)).json["store"] is False
    refused = await ask(application(door), "b", previous_response_id=response["id"])
    assert (refused.status, refused.json["error"]["param"]) == (404, "previous_response_id")
    assert "keeps no responses" in refused.json["error"]["message"]


async def test_each_key_has_its_own(make_door: MakeDoor) -> None:
    """Nobody goes on with what another key's bearer said, or reads it."""
    app = application(make_door(EchoBackend(), api_keys=("one", "two")))
    mine, other = {"Authorization": "Bearer one"}, {"Authorization": "Bearer two"}
    name = (await ask(app, "a", headers=mine)).json["id"]
    assert (await look(app, name, key="one")).status == 200
    assert (await look(app, name, key="two")).status == 404
    assert (await ask(app, "b", headers=other, previous_response_id=name)).status == 404
    assert (await ask(app, "b", headers=mine, previous_response_id=name)).status == 200


async def test_a_long_conversation_may_be_cut(make_door: MakeDoor) -> None:
    """With truncation the oldest part is left out until the rest fits; without, it is refused."""
    backend = Hearing(EchoOptions(context_length=40))
    app = application(make_door(backend))
    said = [{"role": "user", "content": f"message {number}"} for number in range(8)]
    refused = await ask(app, said)
    assert (refused.status, refused.json["error"]["code"]) == (400, "context_length_exceeded")
    for stream in (False, True):
        cut = await ask(app, said, truncation="auto", instructions="short", stream=stream)
        assert cut.status == 200
        assert [each.content for each in backend.heard] == ["short", "message 6", "message 7"]
    alone = await ask(app, "x" * 50, truncation="auto")
    assert alone.json["error"]["code"] == "context_length_exceeded"


@pytest.mark.parametrize(
    ("field", "value", "status"), [("background", True, 400), ("model", "other", 404), ("top_p", 2, 400)]
)
async def test_errors_come_in_openais_shape(make_door: MakeDoor, field: str, value: Any, status: int) -> None:
    """As for chats: a status, and the field."""
    refused = await ask(application(make_door(EchoBackend())), "a", None, **{field: value})
    assert (refused.status, refused.json["error"]["param"]) == (status, field)
