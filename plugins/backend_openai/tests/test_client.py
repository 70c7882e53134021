from __future__ import annotations

import itertools
import socket
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import Any

import anyio
import pytest
from misbehaving import (
    Node,
    a_node,
    begin_stream,
    busy,
    chunk,
    fail_fast,
    hang,
    no_http,
    read_request,
    send_document,
    well,
)
from swarmgate.api import EngineError, Unavailable, Unreachable
from swarmgate.testing.streams import a_closed_port
from swarmgate_backend_openai.client import Client, Hangs, _watched_socket, open_client
from swarmgate_backend_openai.liveness import Liveness, Waiting

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def a_client(url: str, key: str = "") -> AsyncGenerator[Client]:
    liveness = Liveness(silence=None, clock=time.monotonic)
    async with open_client(url, "n", key=key, connect_seconds=1.0, liveness=liveness) as client:
        yield client


async def ask(client: Client, seconds: float | None = None) -> bytes:
    return await client.post("/v1/x", b"{}", {}, seconds=seconds)


def close_once(node: Node, connection: socket.socket, _: dict[str, Any]) -> None:
    """Keep the connection after a first answer, and close it at the next request; then answer."""
    if node.asked == 2:
        return
    body = b"{}"
    connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))
    if node.asked == 1:
        read_request(connection)
        node.asked += 1


async def test_nobody_there_is_unreachable() -> None:
    """A refused connection says so, in words."""
    with a_closed_port() as endpoint:
        async with a_client(f"http://{endpoint}") as client:
            with pytest.raises(Unreachable, match="n cannot be reached: connection refused"):
                await ask(client)


async def test_a_name_that_does_not_exist_is_unreachable() -> None:
    """Names are looked up only when asked."""
    async with a_client("http://no-such-host.invalid:1") as client:
        with pytest.raises(Unreachable, match="n cannot be reached"):
            await ask(client)


async def test_the_key_is_shown() -> None:
    """With every request, and nowhere else."""
    with a_node(well) as node:
        async with a_client(node.url, key="sesame") as client:
            await ask(client)
            assert "sesame" not in repr(client)
    assert node.headers[0]["authorization"] == "Bearer sesame"


async def test_silence_has_an_end() -> None:
    """A server that accepts and says nothing has failed after the time given."""
    with a_node(hang) as node:
        async with a_client(node.url) as client:
            with pytest.raises(EngineError, match=r"n did not begin to answer within 0\.2 s"):
                await ask(client, 0.2)
            with anyio.fail_after(5):
                while not node.left.is_set():  # noqa: ASYNC110 -- another thread's event
                    await anyio.sleep(0.01)


async def test_whoever_waits_can_be_given_up() -> None:
    """A server found to hang by other means keeps nobody waiting."""
    with a_node(hang) as node:
        liveness = Liveness(silence=None, clock=time.monotonic)
        opened = open_client(node.url, "n", key="", connect_seconds=1.0, liveness=liveness)
        async with opened as client, anyio.create_task_group() as tasks:
            given: list[Waiting] = []

            async def give_up() -> None:
                while not node.asked:  # noqa: ASYNC110 -- counted by another thread
                    await anyio.sleep(0.01)
                given.extend(liveness.waiting)
                client.give_up(given[0])

            tasks.start_soon(give_up)
            with pytest.raises(Hangs, match="did not begin to answer, and does not answer otherwise either"):
                await ask(client)
            assert not liveness.waiting
            client.give_up(given[0])


async def test_a_look_is_answered_by_whatever_is_said() -> None:
    """Also by one that does not know the path, or speaks something else; each on a connection of its own."""
    for conduct in (fail_fast, no_http):
        with a_node(conduct) as node:
            async with a_client(node.url) as client:
                node.lives = None
                assert await client.look({}, seconds=5) == "answered"
                assert await client.look({}, seconds=5) == "answered"
            assert node.looks == 2


async def test_a_look_that_nobody_answers_is_silent() -> None:
    """Whoever accepts and says nothing is told from whoever refuses, and both from a name that is none."""
    with socket.create_server(("127.0.0.1", 0)) as mute:
        async with a_client(f"http://127.0.0.1:{mute.getsockname()[1]}") as client:
            assert await client.look({}, seconds=0.1) == "silent"
    with a_closed_port() as endpoint:
        async with a_client(f"http://{endpoint}") as client:
            assert await client.look({}, seconds=5) == "refused"
    async with a_client("http://no-such-host.invalid:1") as client:
        assert await client.look({}, seconds=5) == "unclear"


async def test_every_piece_of_a_document_is_a_sign_of_life() -> None:
    """A long one that comes slowly is no silence."""

    def slowly(node: Node, connection: socket.socket, _: dict[str, Any]) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n")
        for byte in b"word":
            connection.sendall(bytes([byte]))
            time.sleep(0.05)

    ticks = itertools.count()
    liveness = Liveness(silence=None, clock=lambda: float(next(ticks)))
    with a_node(slowly) as node:
        async with open_client(node.url, "n", key="", connect_seconds=1.0, liveness=liveness) as client:
            assert await ask(client) == b"word"
    assert next(ticks) > 2 * 4, "the time was taken for each piece"


async def test_the_kernel_asks_whether_the_other_machine_is_there() -> None:
    """Connections for requests have keep-alive probes, so that a machine that is gone ends them in seconds."""
    here = socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", ("127.0.0.1", 1)
    with _watched_socket(here) as made:
        assert made.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        found = [
            made.getsockopt(socket.IPPROTO_TCP, getattr(socket, f"TCP_KEEP{name}")) for name in ("IDLE", "INTVL", "CNT")
        ]
    assert found == [5, 3, 3]


async def test_errors_are_the_servers() -> None:
    """Status and body become errors of ours."""
    with a_node(busy) as node:
        async with a_client(node.url) as client:
            with pytest.raises(Unavailable, match="n answered 429: too many") as caught:
                await ask(client)
            assert caught.value.retry_after == 7
    with a_node(fail_fast) as node:
        async with a_client(node.url) as client:
            with pytest.raises(EngineError, match="n answered 500: no luck"):
                await ask(client)


async def test_what_is_no_http_is_an_error() -> None:
    """Whoever listens there is no server of this kind."""
    with a_node(no_http) as node:
        async with a_client(node.url) as client:
            with pytest.raises(EngineError, match="n does not speak HTTP as it should"):
                await ask(client)


async def test_a_connection_that_was_just_closed_is_replaced() -> None:
    """A kept connection may be closed as it is used again: the request is sent once more, on a fresh one."""
    with a_node(close_once) as node:
        async with a_client(node.url) as client:
            assert await ask(client) == b"{}"
            assert await ask(client) == b"{}"
    assert node.asked == 3


async def test_redirects_are_not_followed() -> None:
    """They might carry the key elsewhere."""

    def redirect(node: Node, connection: socket.socket, _: dict[str, Any]) -> None:
        send_document(connection, {}, "302 Found", "location: http://elsewhere.invalid/\r\n")

    with a_node(redirect) as node:
        async with a_client(node.url, key="sesame") as client:
            with pytest.raises(EngineError, match="n answered 302"):
                await ask(client)


async def test_silence_in_the_middle_has_an_end_too() -> None:
    """What came before it is had, each event in its time, and then the server has failed."""

    def stall(node: Node, connection: socket.socket, facts: dict[str, Any]) -> None:
        begin_stream(connection)
        for _ in range(3):
            connection.sendall(chunk("word "))
            connection.settimeout(0.05)
            with suppress(TimeoutError):
                connection.recv(1)
        connection.settimeout(None)
        hang(node, connection, facts)

    heard = bytearray()

    async def listen(client: Client) -> None:
        async with client.stream("/v1/x", b"{}", {}, seconds=5.0) as answer:
            heard.extend(await client.first(answer, seconds=5.0))
            while True:
                heard.extend(await client.next(answer, seconds=0.3))

    with a_node(stall) as node:
        async with a_client(node.url) as client:
            with pytest.raises(EngineError, match=r"n fell silent in the middle of an answer within 0\.3 s"):
                await listen(client)
            with anyio.fail_after(5):
                while not node.left.is_set():  # noqa: ASYNC110 -- another thread's event
                    await anyio.sleep(0.01)
    assert heard.count(b"word ") == 3
