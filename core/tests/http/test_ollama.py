from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio
import msgspec
import pytest
from frail_backends import Mortal, Slow
from swarmgate.chat import Embeddings, EmbedRequest, Token, TokenizeRequest
from swarmgate.echo import EchoBackend, EchoOptions
from swarmgate.http.app import application
from swarmgate.http.door import Door
from visitor import Visitor

pytestmark = pytest.mark.anyio
MakeDoor = Callable[..., Door]
RESUMED = 'gateway_resumes_total{result="resumed",trigger="crash"} 1.0'
HI = [{"role": "user", "content": "one two three four"}]


class Around(EchoBackend):
    """Puts a token before and after each text it embeds, as many models do, and notes what it embedded."""

    def __init__(self) -> None:
        super().__init__(EchoOptions(context_length=6))
        self.embedded: list[tuple[str | tuple[int, ...], ...]] = []

    async def embed(self, request: EmbedRequest) -> Embeddings:
        embeddings = await super().embed(request)
        self.embedded.append(request.inputs)
        return embeddings

    async def tokenize(self, request: TokenizeRequest) -> tuple[Token, ...]:
        tokens = await super().tokenize(request)
        around = (Token(id=1, data=b""),) if request.add_special else ()
        return around + tokens + around


async def post(app: Any, path: str, headers: dict[str, str] | None = None, **fields: Any) -> Visitor:
    body = msgspec.json.encode({"model": "echo", **fields})
    return await Visitor(path=path, body=[body], headers=headers or {}).visit(app)


async def get(app: Any, path: str, method: str = "GET") -> Visitor:
    return await Visitor(path=path, method=method).visit(app)


def lines(visitor: Visitor) -> list[dict[str, Any]]:
    return [msgspec.json.decode(line) for line in visitor.content.splitlines()]


async def test_a_chat_is_answered_in_lines(make_door: MakeDoor) -> None:
    """Or in one document, if that is wanted."""
    app = application(make_door(EchoBackend()))
    stream = await post(app, "/api/chat", messages=HI)
    assert stream.answered["content-type"] == "application/x-ndjson"
    *pieces, last = lines(stream)
    assert "".join(piece["message"]["content"] for piece in pieces) == "one two three four"
    assert (last["done"], last["done_reason"], last["eval_count"]) == (True, "stop", 18)
    whole = await post(app, "/api/chat", messages=HI, stream=False)
    assert whole.answered["content-type"] == "application/json"
    assert whole.json["message"]["content"] == "one two three four"


async def test_a_text_is_answered(make_door: MakeDoor) -> None:
    """Under the name it was asked by, tag and all."""
    app = application(make_door(EchoBackend()))
    told = (await post(app, "/api/generate", model="echo:latest", prompt="hi there", stream=False)).json
    assert (told["model"], told["response"]) == ("echo:latest", "hi there")
    raw = await post(app, "/api/generate", prompt="hi there", raw=True, options={"num_predict": 2, "num_ctx": 7})
    assert [line["response"] for line in lines(raw)] == ["hi", ""]
    assert lines(raw)[-1]["done_reason"] == "length"
    assert raw.answered["x-gateway-ignored-fields"] == "options.num_ctx"


async def test_a_model_is_loaded_already(make_door: MakeDoor) -> None:
    """So a request that only wants that is answered at once; not while it loads."""
    app = application(make_door(EchoBackend()))
    assert lines(await post(app, "/api/generate"))[0]["done_reason"] == "load"
    assert (await post(app, "/api/chat", messages=[], stream=False)).json["done_reason"] == "load"
    loading = application(make_door(EchoBackend(EchoOptions(load_seconds=60))))
    refused = await post(loading, "/api/generate")
    assert (refused.status, refused.json) == (503, {"error": "echo: loading (0%)"})


async def test_texts_are_embedded(make_door: MakeDoor) -> None:
    """Several, one, none; and one in the older way."""
    app = application(make_door(EchoBackend()))
    two = (await post(app, "/api/embed", input=["a", "b"], dimensions=4)).json
    assert [len(vector) for vector in two["embeddings"]] == [4, 4]
    assert (two["model"], two["prompt_eval_count"]) == ("echo", 2)
    one = (await post(app, "/api/embed", input="a")).json["embeddings"]
    assert (await post(app, "/api/embeddings", prompt="a")).json["embedding"] == one[0]
    assert (await post(app, "/api/embed", input=[])).json["embeddings"] == []


async def test_what_is_too_long_to_embed_is_shortened(make_door: MakeDoor) -> None:
    """Within what the model puts around; unless the client does not want that."""
    around = Around()
    app = application(make_door(around))
    assert (await post(app, "/api/embed", input=["abcdefgh", "ab"])).status == 200
    assert around.embedded == [((1, *b"abcd", 1), (1, *b"ab", 1))]
    refused = await post(app, "/api/embed", input="abcdefgh", truncate=False)
    assert (refused.status, "the context holds 6" in refused.json["error"]) == (400, True)


async def test_models_are_listed_and_shown(make_door: MakeDoor) -> None:
    """Loaded ones, and all of them."""
    loading = EchoBackend(EchoOptions(model="slow", load_seconds=60))
    app = application(make_door(EchoBackend(), loading))
    assert [model["name"] for model in (await get(app, "/api/tags")).json["models"]] == ["echo:latest", "slow:latest"]
    assert [model["name"] for model in (await get(app, "/api/ps")).json["models"]] == ["echo:latest"]
    shown = await post(app, "/api/show", model="echo:latest")
    assert shown.json["model_info"]["echo.context_length"] == 16384
    missing = await post(app, "/api/show", model="other")
    assert (missing.status, "no model is called 'other'" in missing.json["error"]) == (404, True)


async def test_somebody_is_here(make_door: MakeDoor) -> None:
    """Which clients ask first, and then for the version."""
    app = application(make_door(EchoBackend()))
    assert (await get(app, "/", "HEAD")).status == 200
    assert (await get(app, "/api/version")).json["version"].count(".") == 2


@pytest.mark.parametrize(
    ("path", "method"), [("/api/pull", "POST"), ("/api/create", "POST"), ("/api/delete", "DELETE")]
)
async def test_models_are_not_changed(make_door: MakeDoor, path: str, method: str) -> None:
    """Clients are told by whom they are."""
    visitor = await Visitor(path=path, method=method, body=[b'{"model":"m"}']).visit(
        application(make_door(EchoBackend()))
    )
    assert (visitor.status, "by `gateway models`" in visitor.json["error"]) == (501, True)


async def test_errors_are_ollamas(make_door: MakeDoor) -> None:
    """Wrong keys and unknown paths among them."""
    app = application(make_door(EchoBackend(), api_keys=("sesame",)))
    assert (await post(app, "/api/chat", messages=HI)).json.keys() == {"error"}
    broken = await post(app, "/api/chat", {"Authorization": "Bearer sesame"}, messages="x")
    assert broken.json["error"].startswith("messages: ")
    unknown = await Visitor(path="/api/blobs/sha256:0", method="GET", headers={"Authorization": "Bearer sesame"}).visit(
        app
    )
    assert (unknown.status, unknown.json.keys()) == (404, {"error"})


async def test_a_stream_goes_on_when_its_engine_dies(make_door: MakeDoor) -> None:
    """In the same response, with the text it would have had, and nothing but lines."""
    door = make_door(Mortal(), EchoBackend())
    visitor = await post(application(door), "/api/chat", messages=HI)
    assert RESUMED in (await door.metrics.text()).decode()
    assert "".join(line["message"]["content"] for line in lines(visitor)) == "one two three four"
    assert lines(visitor)[-1]["eval_count"] == 18


async def test_a_stream_that_fails_says_so(make_door: MakeDoor) -> None:
    """In its last line."""
    visitor = await post(application(make_door(Mortal(tells=False))), "/api/generate", prompt="one two three four")
    first, *_, last = lines(visitor)
    assert (visitor.status, first["response"]) == (200, "one ")
    assert last.keys() == {"error"}
    assert "it died" in last["error"]


async def test_a_silent_stream_gets_white_space(make_door: MakeDoor) -> None:
    """Which is no line: all of them are JSON."""
    slow = Slow()
    visitor = Visitor(path="/api/chat", body=[msgspec.json.encode({"model": "echo", "messages": HI})])
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(visitor.visit, application(make_door(slow, ping_seconds=0.01)))
        with anyio.fail_after(10):
            await visitor.until(" ")
        slow.speaks.set()
    assert visitor.content.startswith(b" ")
    assert lines(visitor)[-1]["done"]


async def test_hanging_up_ends_the_work(make_door: MakeDoor) -> None:
    """Before anything is said."""
    visitor = Visitor(path="/api/chat", body=[msgspec.json.encode({"model": "echo", "messages": HI})])
    door = make_door(Slow())
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(visitor.visit, application(door))
            while not door.working:
                await anyio.lowlevel.checkpoint()
            visitor.hang_up()
    assert door.working == 0
