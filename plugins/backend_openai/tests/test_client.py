from __future__ import annotations

import socket
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
from swarmgate_backend_openai.client import Client, ConnectionLost, open_client

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def a_client(url: str, key: str = "") -> AsyncGenerator[Client]:
    async with open_client(url, "n", key=key, connect_seconds=1.0) as client:
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


async def test_whoever_waits_can_be_interrupted() -> None:
    """A server found dead by other means keeps nobody waiting."""
    with a_node(hang) as node:
        async with a_client(node.url) as client, anyio.create_task_group() as tasks:

            async def give_up() -> None:
                while not node.asked:  # noqa: ASYNC110 -- counted by another thread
                    await anyio.sleep(0.01)
                client.interrupt()

            tasks.start_soon(give_up)
            with pytest.raises(ConnectionLost, match="did not begin to answer, and does not answer otherwise either"):
                await ask(client)


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
