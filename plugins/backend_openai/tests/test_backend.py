from __future__ import annotations

import threading
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from misbehaving import (
    Conduct,
    a_node,
    begin_stream,
    break_off,
    busy,
    chunk,
    end_early,
    fail_after_two,
    fail_fast,
    garbage,
    half_a_character,
    hang,
    no_done,
    no_http,
    trickle,
    well,
)
from structlog.testing import capture_logs
from swarmgate.api import (
    ConfigError,
    EngineError,
    Hung,
    NodeId,
    Passage,
    Resume,
    SwarmgateError,
    Unavailable,
    UnknownModel,
    Unreachable,
    Unsupported,
    weight,
)
from swarmgate.passage import travelling
from swarmgate.testing import a_candidate, a_request, an_embed_request
from swarmgate.testing import a_node as a_named_node
from swarmgate.testing.answers import write
from swarmgate.testing.streams import a_closed_port
from swarmgate_backend_openai import OpenAIOptions
from swarmgate_backend_openai.backend import OpenAIBackend, open_backend, read_key

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def asking(url: str, **options: Any) -> AsyncGenerator[OpenAIBackend]:
    async with open_backend(OpenAIOptions(url=url, refresh_seconds=0.05, **options), a_named_node("me")) as backend:
        yield backend


async def until(what: Callable[[], object]) -> None:
    with anyio.fail_after(10):
        while not what():  # noqa: ASYNC110 -- seen from outside, there is nothing to wait on
            await anyio.sleep(0.01)


@pytest.mark.parametrize("conduct", [well, trickle])
async def test_an_answer_comes_whole(conduct: Conduct) -> None:
    """However its bytes are cut; without tokens, which such servers do not tell."""
    with a_node(conduct) as node:
        async with asking(node.url) as backend:
            answer = await write(backend, a_request())
    assert answer.text == "one two thrée four"
    assert (answer.finish, answer.token_ids) == ("stop", ())
    assert answer.usage.completion_tokens == 4


async def test_done_may_be_missing() -> None:
    """An answer that has its finish is whole."""
    with a_node(no_done) as node:
        async with asking(node.url) as backend:
            assert (await write(backend, a_request())).text == "one two "


@pytest.mark.parametrize(
    ("conduct", "kind", "message"),
    [
        (fail_fast, EngineError, "answered 500: no luck"),
        (busy, Unavailable, "answered 429: too many"),
        (fail_after_two, EngineError, "broke off: out of memory"),
        (break_off, EngineError, "closed the connection in the middle of an answer"),
        (garbage, EngineError, "sent garbage in an answer"),
        (no_http, EngineError, "does not speak HTTP as it should"),
        (half_a_character, EngineError, "sent garbage in an answer"),
        (end_early, EngineError, "ended its answer before it was finished"),
        (hang, EngineError, "did not begin to answer within 0.2 s"),
    ],
)
async def test_every_misconduct_has_its_error(conduct: Conduct, kind: type[SwarmgateError], message: str) -> None:
    """Passing errors all of them: another server may do better, and the next request is none the worse."""
    with a_node(conduct) as node:
        async with asking(node.url, first_seconds=0.2) as backend:
            with pytest.raises(kind) as caught:
                await write(backend, a_request())
            assert message in str(caught.value)
            node.conduct = well
            await until(lambda: backend.health().ready)
            assert (await write(backend, a_request())).finish == "stop"


async def test_leaving_closes_the_connection() -> None:
    """The server learns at once that nobody listens any more."""
    with a_node(hang) as node:
        async with asking(node.url) as backend:
            with anyio.move_on_after(0.2):
                async with backend.generate(a_request()) as deltas:
                    await anext(deltas)
            await until(node.left.is_set)
    assert node.asked == 1


async def test_a_server_that_is_not_there_is_waited_for() -> None:
    """It is no error at the start; its models are known once it has come, and it may go and come again."""
    with a_closed_port() as endpoint:
        async with asking(f"http://{endpoint}") as backend:
            assert backend.models() == ()
            assert "connection refused" in backend.health().reason
    with a_node(well, "m", "n") as node:
        node.models = ()
        async with asking(node.url) as backend:
            assert backend.health().reason == "it serves no model"
            node.models = ("m", "n")
            await until(lambda: backend.health().ready)
            assert [card.name for card in backend.models()] == ["m", "n"]


async def test_a_server_that_dies_is_noticed_by_whoever_asks() -> None:
    """Nobody has to wait for the next look, and its models are still known."""
    with a_node(well) as node:
        async with open_backend(OpenAIOptions(url=node.url, refresh_seconds=60), a_named_node()) as backend:
            assert backend.health().ready
            node.shutdown()
            node.server_close()
            with capture_logs() as logs, pytest.raises(Unreachable):
                await write(backend, a_request())
            assert not backend.health().ready
            assert [card.name for card in backend.models()] == ["m"]
    assert [entry["event"] for entry in logs] == ["openai.not_ready"]


async def test_a_model_that_is_gone_may_still_be_elsewhere() -> None:
    """A server that no longer knows what it listed is not ready for it; the request is not to blame."""

    def lost(node: Any, connection: Any, _: object) -> None:
        from misbehaving import send_document

        send_document(connection, {"error": {"message": "no such model", "code": "model_not_found"}}, "404 Not Found")

    with a_node(lost) as node:
        async with asking(node.url) as backend:
            with pytest.raises(Unavailable, match="has lost the model 'm'"):
                await write(backend, a_request())
            with pytest.raises(UnknownModel, match="has no model called 'x'; it has: m"):
                await write(backend, a_request(model="x"))


async def test_other_names_and_headers_reach_the_server() -> None:
    """The model's own name, who asked, whose conversation it is, and the way so far."""
    with a_node(well, "there") as node:
        async with asking(node.url, models=("here=there",)) as backend:
            with travelling(Passage(1, (NodeId("first"),))):
                await write(backend, a_request(model="here", id="r7", session="Grüße"))
    headers = node.headers[0]
    assert node.bodies[0]["model"] == "there"
    assert (headers["x-request-id"], headers["x-session-id"]) == ("r7", "Gr%C3%BC%C3%9Fe")
    assert (headers["x-gateway-hops"], headers["x-gateway-path"]) == ("2", "first,node-me")
    assert "x-gateway-tokens" not in headers


async def test_strangers_go_on_with_nothing() -> None:
    """Servers of other kinds are not asked to resume, and what they lack is unsupported."""

    def lacking(node: Any, connection: Any, _: object) -> None:
        from misbehaving import send_document

        send_document(connection, {"detail": "Not Found"}, "404 Not Found")

    with a_node(lacking) as node:
        async with asking(node.url) as backend:
            with pytest.raises(Unavailable, match="cannot go on"):
                await write(backend, a_request(resume=Resume(token_ids=(1,), seed=1)))
            with pytest.raises(Unsupported):
                await backend.embed(an_embed_request("a"))
            with pytest.raises(Unsupported):
                await backend.embed(an_embed_request("a", query="q"))
            with pytest.raises(Unsupported):
                await backend.detokenize("m", (1,))


def test_the_key_comes_from_a_file(key_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its first line that says something; or from a variable; what is wrong is told without the key."""
    assert read_key(OpenAIOptions(url="http://h", api_key_file=str(key_file))) == "sesame"
    assert read_key(OpenAIOptions(url="http://h", api_key="k")) == "k"
    monkeypatch.setenv("NODE_KEY", " sesame ")
    assert read_key(OpenAIOptions(url="http://h", api_key_env="NODE_KEY")) == "sesame"
    with pytest.raises(ConfigError, match="the variable OTHER_KEY is not set; set it to the node's key"):
        read_key(OpenAIOptions(url="http://h", api_key_env="OTHER_KEY"))
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        read_key(OpenAIOptions(url="http://h", api_key_file=str(tmp_path / "none")))
    key_file.write_text("# nothing\n")
    with pytest.raises(ConfigError, match="holds no key"):
        read_key(OpenAIOptions(url="http://h", api_key_file=str(key_file)))
    with pytest.raises(ConfigError) as caught:
        read_key(OpenAIOptions(url="http://h", api_key="open sesame"))
    assert "sesame" not in str(caught.value)


@pytest.mark.parametrize(("options", "expected"), [({}, 1.0), ({"weight": 1.0}, 1.0), ({"weight": 0.25}, 0.25)])
async def test_balancers_learn_the_server_s_weight(options: dict[str, float], expected: float) -> None:
    """The option is what balancers read off its models; without one they all weigh alike."""
    with a_node(well) as node:
        async with asking(node.url, **options) as backend:
            (card,) = backend.models()
    assert weight(a_candidate(labels=card.labels)) == expected


def begin_and_hang(node: Any, connection: Any, asked: object) -> None:
    """Say one word, and nothing more."""
    begin_stream(connection)
    connection.sendall(chunk("one "))
    hang(node, connection, {})


@pytest.mark.parametrize("conduct", [hang, begin_and_hang])
async def test_a_server_that_worked_and_now_hangs_is_given_up(conduct: Conduct) -> None:
    """It had answered looks while it worked; now it answers nothing, and the request ends before its patience does."""
    with a_node(conduct) as node:
        async with asking(node.url, silence_seconds=0.1, sign_seconds=0.2) as backend:
            with anyio.move_on_after(0.5):
                await write(backend, a_request())  # silent, and answers looks: left alone
            assert node.looks > 1
            node.lives = threading.Event()
            with anyio.fail_after(10), capture_logs() as logs, pytest.raises(Hung, match="does not answer otherwise"):
                await write(backend, a_request())
            node.lives.set()
    assert "openai.hangs" in [entry["event"] for entry in logs]


async def test_a_server_that_computes_in_silence_is_left_alone() -> None:
    """It answers looks, however long it takes: the request waits, and is answered."""
    over = threading.Event()

    def compute(node: Any, connection: Any, asked: Any) -> None:
        over.wait(10)
        well(node, connection, asked)

    with a_node(compute) as node:
        async with (
            asking(node.url, silence_seconds=0.02, sign_seconds=0.5) as backend,
            anyio.create_task_group() as tasks,
        ):

            async def finish() -> None:
                await until(lambda: node.looks >= 6)
                over.set()

            tasks.start_soon(finish)
            assert (await write(backend, a_request())).text == "one two thrée four"
            assert backend.health().ready


async def test_a_server_that_does_one_thing_at_a_time_is_left_alone() -> None:
    """It answers no look while it computes, and never did: that says nothing, and its request is answered."""
    over = threading.Event()

    def compute(node: Any, connection: Any, asked: Any) -> None:
        node.lives = lives = threading.Event()
        over.wait(10)
        well(node, connection, asked)
        lives.set()

    with a_node(compute) as node:
        options = {"silence_seconds": 0.02, "sign_seconds": 0.05}
        async with asking(node.url, **options) as backend, anyio.create_task_group() as tasks:

            async def finish() -> None:
                await until(lambda: node.looks >= 6)
                over.set()

            tasks.start_soon(finish)
            assert (await write(backend, a_request())).text == "one two thrée four"


async def test_a_gateway_that_stops_pinging_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """It says how long its streams are silent at most; one that is for longer will bring nothing more."""
    monkeypatch.setattr("swarmgate_backend_openai.liveness._GRACE_SECONDS", 0.1)
    with a_node(begin_and_hang) as node:
        node.gateway = {"id": "g", "name": "first", "ping_seconds": 0.05}
        async with asking(node.url, silence_seconds=0) as backend:
            with anyio.fail_after(10), pytest.raises(Hung, match=r"fell silent .* within 0\.2 s"):
                await write(backend, a_request())
    assert node.looks == 0


async def test_one_that_is_said_to_have_news_is_looked_at_at_once() -> None:
    """However long the next look would be away."""
    with a_node(well) as node:
        async with open_backend(OpenAIOptions(url=node.url, refresh_seconds=600), a_named_node()) as backend:
            backend.looked = anyio.Event()
            backend.look_again()
            with anyio.fail_after(10):
                await backend.looked.wait()
