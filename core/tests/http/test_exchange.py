from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
from swarmgate.chat import Delta, GenerateRequest
from swarmgate.echo import EchoBackend
from swarmgate.http.app import application
from swarmgate.http.door import Door
from swarmgate.nouns import NodeId
from swarmgate.passage import Passage, current_passage
from visitor import Visitor

pytestmark = pytest.mark.anyio
MakeDoor = Callable[..., Door]
HELLO = [{"role": "user", "content": "hi there"}]


async def post(app: Any, headers: dict[str, str], **fields: Any) -> Visitor:
    body = [msgspec.json.encode({"messages": HELLO, **fields})]
    return await Visitor(path="/v1/chat/completions", body=body, headers=headers).visit(app)


class Noting(EchoBackend):
    """Notes by which way each request came."""

    def __init__(self) -> None:
        super().__init__()
        self.ways: list[Passage] = []
        self.requests: list[GenerateRequest] = []

    @asynccontextmanager
    async def generate(self, request: GenerateRequest) -> AsyncGenerator[AsyncIterator[Delta]]:
        self.ways.append(current_passage())
        self.requests.append(request)
        async with super().generate(request) as deltas:
            yield deltas


async def test_the_way_a_request_came_reaches_the_backend(make_door: MakeDoor) -> None:
    """By whatever tasks it is answered."""
    backend = Noting()
    app = application(make_door(backend))
    await post(app, {"X-Gateway-Hops": "2", "X-Gateway-Path": "a,b"})
    await post(app, {})
    assert backend.ways == [Passage(2, (NodeId("a"), NodeId("b"))), Passage()]


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"X-Gateway-Hops": "3"}, 508, "loop_detected"),
        ({"X-Gateway-Path": "unknown"}, 508, "loop_detected"),
        ({"X-Gateway-Hops": "2"}, 200, None),
        ({"X-Gateway-Hops": "many"}, 400, None),
    ],
)
async def test_circles_end_at_the_door(
    make_door: MakeDoor, headers: dict[str, str], status: int, code: str | None
) -> None:
    """A request that was here, or came through too many gateways, is refused in OpenAI's shape."""
    visitor = await post(application(make_door(EchoBackend(), max_hops=2)), headers)
    assert visitor.status == status
    if status != 200:
        assert visitor.json["error"]["code"] == code


async def test_only_gateways_go_on_with_answers(make_door: MakeDoor) -> None:
    """The body's ``resume`` counts with the header, and is named among the ignored fields without."""
    backend = Noting()
    app = application(make_door(backend))
    begun = {"token_ids": list(b"hi "), "seed": 4}
    resumed = await post(app, {"X-Gateway-Tokens": "1"}, resume=begun)
    assert resumed.json["choices"][0]["message"]["content"] == "there"
    assert "x-gateway-ignored-fields" not in resumed.answered
    plain = await post(app, {}, resume="whatever")
    assert plain.json["choices"][0]["message"]["content"] == "hi there"
    assert plain.answered["x-gateway-ignored-fields"] == "resume"
    assert [bool(request.resume) for request in backend.requests] == [True, False]
