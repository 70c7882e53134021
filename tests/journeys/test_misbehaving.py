"""Nodes that do it wrong in every way there is, beside a good one: each client gets an end that it understands."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from live_gateway import LiveGateway, live_gateway
from misbehaving import (
    Conduct,
    Node,
    a_node,
    break_off,
    busy,
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

pytestmark = pytest.mark.journey

_ASKED = "one two three"
Running = AbstractContextManager[LiveGateway]


@pytest.fixture(scope="module")
def bad(tmp_path_factory: pytest.TempPathFactory) -> Generator[tuple[Node, LiveGateway]]:
    """Run a node whose conduct changes, a good one beside it, and a hub that asks the bad one first."""
    folder = tmp_path_factory.mktemp("bad")
    good = live_gateway(folder / "good", [{"use": "echo", "model": "m"}])
    with a_node(well) as node, good as healthy, in_front(folder / "hub", node.url, healthy.url) as hub:
        yield node, hub


def in_front(folder: Path, first: str, second: str, *, balancer: str = "first_free") -> Running:
    """Run a hub that asks the *first* node first, if *balancer* does not know better; its patience is short."""
    backends = [
        {"use": "openai", "url": first, "first_seconds": 0.5, "idle_seconds": 0.5, "refresh_seconds": 0.2},
        {"use": "openai", "url": second},
    ]
    tables = [("[balancer]", {"use": balancer})]
    # without a breaker, so that it is asked again however often it has failed
    return live_gateway(folder, backends, arguments=("federated",), tables=tables, breaker_failures=0)


def body(*, stream: bool) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": _ASKED}], "stream": stream}


def whole(hub: LiveGateway) -> tuple[int, str]:
    """Ask for an answer in one piece, and return the status with its text, or with the code of its error."""
    answer = httpx.post(f"{hub.url}/v1/chat/completions", json=body(stream=False), timeout=30)
    document = answer.json()
    if answer.status_code == 200:
        return 200, document["choices"][0]["message"]["content"]
    return answer.status_code, document["error"]["code"]


def streamed(hub: LiveGateway) -> tuple[str, str]:
    """Ask for a stream, and return its text with how it ended: ``[DONE]``, or the code of its error."""
    text, ends = "", list[str]()
    with httpx.stream("POST", f"{hub.url}/v1/chat/completions", json=body(stream=True), timeout=30) as response:
        assert response.status_code == 200
        for line in response.iter_lines():
            if not line.startswith("data: "):
                continue
            assert not ends, "nothing comes after the end"
            data = line.removeprefix("data: ")
            chunk = {} if data == "[DONE]" else json.loads(data)
            if not chunk or "error" in chunk:
                ends.append(chunk["error"]["code"] if chunk else data)
            for choice in chunk.get("choices", ()):
                text += choice["delta"].get("content") or ""
    (end,) = ends
    return text, end


def stall(node: Node, connection: socket.socket, asked: dict[str, Any]) -> None:
    """Begin well, and say nothing more."""
    connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n")
    connection.sendall(b'data: {"id": "c", "choices": [{"index": 0, "delta": {"content": "one "}}]}\n\n')
    hang(node, connection, asked)


@pytest.mark.parametrize("conduct", [fail_fast, busy, hang, no_http, garbage])
def test_an_answer_in_one_piece_comes_from_the_good_one(bad: tuple[Node, LiveGateway], conduct: Conduct) -> None:
    """Whoever fails before the first word costs the client a moment at most."""
    node, hub = bad
    node.conduct = conduct
    assert whole(hub) == (200, _ASKED)


@pytest.mark.parametrize("conduct", [fail_after_two, break_off, half_a_character, end_early, stall])
def test_half_an_answer_in_one_piece_is_an_error(tmp_path: Path, conduct: Conduct) -> None:
    """Text without tokens cannot be gone on with: the client gets OpenAI's error, and never half a text as a whole."""
    with a_node(conduct) as node, a_node(hang) as other, in_front(tmp_path, node.url, other.url) as hub:
        assert whole(hub) == (502, "engine_error")
        assert (node.asked, other.asked) == (1, 0)


@pytest.mark.parametrize(("conduct", "text"), [(trickle, "one two thrée four"), (no_done, "one two ")])
def test_an_odd_answer_in_one_piece_is_understood(tmp_path: Path, conduct: Conduct, text: str) -> None:
    """Bytes in any portions, and an end without [DONE], make a good document."""
    with a_node(conduct) as node, a_node(hang) as other, in_front(tmp_path, node.url, other.url) as hub:
        assert whole(hub) == (200, text)


def test_a_stream_that_stalls_ends_in_an_error(tmp_path: Path) -> None:
    """A node that accepts, begins and hangs does not hold its client for ever."""
    with a_node(stall) as node, a_node(hang) as other, in_front(tmp_path, node.url, other.url) as hub:
        assert streamed(hub) == ("one ", "engine_error")


@contextmanager
def refusing() -> Generator[str]:
    """Yield the address of a port that refuses every connection for as long as the block lasts."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # and does not listen
        yield f"http://127.0.0.1:{held.getsockname()[1]}"


@contextmanager
def mute() -> Generator[str]:
    """Yield the address of a port that accepts connections and never reads from them."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


@pytest.mark.parametrize("nowhere", [refusing, mute])
def test_nodes_that_never_were_there_delay_nobody(
    tmp_path: Path, nowhere: Callable[[], AbstractContextManager[str]]
) -> None:
    """One that refuses, or accepts and hangs from the start, is not asked: the good one answers."""
    with (
        nowhere() as url,
        live_gateway(tmp_path / "good", [{"use": "echo", "model": "m"}]) as good,
        in_front(tmp_path / "hub", url, good.url) as hub,
    ):
        assert [streamed(hub) for _ in range(5)] == [(_ASKED, "[DONE]")] * 5
        assert whole(hub) == (200, _ASKED)


def test_nobody_but_bad_ones_is_an_error_of_openais(tmp_path: Path) -> None:
    """Where all fail, the client hears so as an error, and not as a broken connection."""
    with a_node(fail_fast) as one, a_node(garbage) as other, in_front(tmp_path, one.url, other.url) as hub:
        assert whole(hub) == (502, "engine_error")
        answer = httpx.post(f"{hub.url}/v1/chat/completions", json=body(stream=True), timeout=30)
        assert (answer.status_code, answer.json()["error"]["code"]) in {(502, "engine_error"), (503, "no_candidate")}


@pytest.mark.parametrize("conduct", [busy, fail_fast])
def test_a_node_that_claims_a_thousand_slots_gets_no_request_killed(tmp_path: Path, conduct: Conduct) -> None:
    """It boasts, and then has no time: everybody is answered all the same, and soon it is left alone."""
    with (
        a_node(conduct) as boaster,
        live_gateway(tmp_path / "good", [{"use": "echo", "model": "m", "slots": 2}]) as good,
    ):
        boaster.meta = {"slots": 1000}
        with in_front(tmp_path / "hub", boaster.url, good.url, balancer="least_loaded") as hub:
            listed = httpx.get(f"{hub.url}/v1/models").json()["data"]
            assert [entry["meta"]["slots"] for entry in listed] == [1002]
            assert [whole(hub) for _ in range(30)] == [(200, _ASKED)] * 30
        assert 0 < boaster.asked < 10
