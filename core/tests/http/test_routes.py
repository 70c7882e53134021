from __future__ import annotations

import base64
import struct
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace
from swarmgate.chat import Delta, GenerateRequest, ModelCard
from swarmgate.echo import EchoBackend, EchoOptions
from swarmgate.http.app import application
from swarmgate.http.door import Door
from visitor import Visitor

pytestmark = pytest.mark.anyio
MakeDoor = Callable[..., Door]


async def post(app: Any, path: str, headers: dict[str, str] | None = None, **fields: Any) -> Visitor:
    return await Visitor(path=path, body=[msgspec.json.encode(fields)], headers=headers or {}).visit(app)


async def get(app: Any, path: str) -> Visitor:
    return await Visitor(path=path, method="GET").visit(app)


async def test_completions(make_door: MakeDoor) -> None:
    """A text is continued under the name it was asked by."""
    app = application(make_door(EchoBackend(EchoOptions(model="org/echo", aliases=("e",)))))
    visitor = await post(app, "/v1/completions", model="e", prompt="hi there", max_tokens=2)
    assert visitor.json["model"] == "e"
    assert visitor.json["choices"][0]["text"] == "hi"
    assert visitor.json["choices"][0]["finish_reason"] == "length"


async def test_embeddings(make_door: MakeDoor) -> None:
    """Texts become vectors, as numbers or as base64 of the same."""
    app = application(make_door(EchoBackend()))
    floats = (await post(app, "/v1/embeddings", input=["a", "b"], dimensions=4)).json
    coded = (await post(app, "/v1/embeddings", input=["a", "b"], dimensions=4, encoding_format="base64")).json
    assert [item["index"] for item in floats["data"]] == [0, 1]
    for plain, packed in zip(floats["data"], coded["data"], strict=True):
        assert struct.unpack("<4f", base64.b64decode(packed["embedding"])) == tuple(plain["embedding"])
    assert floats["usage"] == {"prompt_tokens": 2, "total_tokens": 2}


@pytest.mark.parametrize("path", ["/v1/rerank", "/rerank"])
async def test_rankings(make_door: MakeDoor, path: str) -> None:
    """Documents are judged by a query, the best first; a model that cannot is told from one that is not there."""
    app = application(make_door(EchoBackend()))
    body = {"query": "the weather", "documents": ["no", "the weather now", {"text": "the other"}], "top_n": 2}
    visitor = await Visitor(path=path, body=[msgspec.json.encode(body)]).visit(app)
    ranked = [(result["index"], result["relevance_score"]) for result in visitor.json["results"]]
    assert ranked == [(1, 1.0), (2, 0.5)]
    assert visitor.json["usage"]["total_tokens"] == 3 * 11 + 2 + 15 + 9

    class Writer(EchoBackend):
        def models(self) -> tuple[ModelCard, ...]:
            return tuple(replace(card, abilities=frozenset({"chat"})) for card in super().models())

    refused = await Visitor(path=path, body=[msgspec.json.encode(body)]).visit(application(make_door(Writer())))
    assert (refused.status, refused.json["error"]["code"]) == (400, "unsupported")
    assert "rerank" in refused.json["error"]["message"]


async def test_models(make_door: MakeDoor) -> None:
    """All models are listed, and each is found by its name, slashes and all, or by an alias."""
    app = application(make_door(EchoBackend(EchoOptions(model="org/sub/echo", aliases=("e",))), EchoBackend()))
    listed = (await get(app, "/v1/models")).json
    assert [model["id"] for model in listed["data"]] == ["echo", "org/sub/echo"]
    for name in ("org/sub/echo", "e"):
        assert (await get(app, f"/v1/models/{name}")).json["id"] == "org/sub/echo"
    missing = await get(app, "/v1/models/org/other")
    assert missing.status == 404
    assert missing.json["error"]["code"] == "model_not_found"


async def test_tokens_there_and_back(make_door: MakeDoor) -> None:
    """What tokenize gives, detokenize takes."""
    app = application(make_door(EchoBackend()))
    tokens = (await post(app, "/tokenize", content="hé")).json
    assert tokens == {"tokens": [104, 195, 169], "count": 3, "max_model_len": 16384}
    assert (await post(app, "/detokenize", tokens=tokens["tokens"])).json["content"] == "hé"
    wrong = await post(app, "/detokenize", tokens=[999])
    assert wrong.status == 400


async def test_unknown_fields_are_named_in_a_header(make_door: MakeDoor) -> None:
    """A field without a use does no harm, and the answer says which it was."""
    app = application(make_door(EchoBackend()))
    hello = [{"role": "user", "content": "hi"}]
    for stream in (False, True):
        fields: dict[str, Any] = {"messages": hello, "stream": stream, "store": True, "bad\r\nname": 1}
        visitor = await post(app, "/v1/chat/completions", **fields)
        assert visitor.status == 200
        assert visitor.answered["x-gateway-ignored-fields"] == "store, bad__name"
    assert "x-gateway-ignored-fields" not in (await post(app, "/v1/chat/completions", messages=hello)).answered


async def test_a_header_names_the_session(make_door: MakeDoor) -> None:
    """X-Session-ID reaches the backend's request."""
    heard: list[str] = []

    class Listening(EchoBackend):
        @asynccontextmanager
        async def generate(self, request: GenerateRequest) -> AsyncGenerator[AsyncIterator[Delta]]:
            heard.append(request.session)
            async with super().generate(request) as deltas:
                yield deltas

    app = application(make_door(Listening()))
    hello = [{"role": "user", "content": "hi"}]
    await post(app, "/v1/chat/completions", {"X-Session-ID": "s1"}, messages=hello, user="u")
    await post(app, "/v1/chat/completions", messages=hello, user="u")
    assert heard == ["s1", "u"]


@pytest.mark.parametrize(
    "path", ["/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/tokenize", "/detokenize"]
)
async def test_bad_json_is_refused_everywhere(make_door: MakeDoor, path: str) -> None:
    """Every endpoint that takes a body says where it stops being JSON."""
    visitor = await Visitor(path=path, body=[b'{"mod', b'el": ]}']).visit(application(make_door(EchoBackend())))
    assert visitor.status == 400
    assert "at byte 10" in visitor.json["error"]["message"]
    assert visitor.json["error"]["type"] == "invalid_request_error"


async def test_gateways_learn_the_ways_to_a_model(make_door: MakeDoor) -> None:
    """Another gateway is told the paths and their slots; everybody, who answers and on how many machines."""
    app = application(make_door(EchoBackend(EchoOptions(slots=3)), EchoBackend(EchoOptions(slots=4))))
    plain = (await get(app, "/v1/models")).json
    told = (await Visitor(path="/v1/models", method="GET", headers={"X-Gateway-Path": "a"}).visit(app)).json
    assert plain["gateway"] == told["gateway"] == {"id": "unknown", "name": "unknown", "ping_seconds": 15.0}
    assert "paths" not in plain["data"][0]["meta"]
    assert told["data"][0]["meta"]["paths"] == [["unknown"]]
    for listed in (plain, told):
        assert (listed["data"][0]["meta"]["replicas"], listed["data"][0]["meta"]["slots"]) == (2, 7)
