from __future__ import annotations

import socket

import anyio
import pytest
from anyio.abc import SocketStream
from swarmgate.api import Endpoint
from swarmgate.testing.streams import a_closed_port, an_echo, converse
from swarmgate_backend_llamacpp.rpc.relay import ipv4_path, resolve

pytestmark = pytest.mark.anyio


async def test_ipv4_needs_no_relay() -> None:
    """The path is the address itself."""
    async with an_echo() as endpoint, ipv4_path(endpoint) as address:
        assert address == str(endpoint)


async def test_names_are_resolved_to_ipv4() -> None:
    """Addresses stay what they are, and what nobody knows is left for the connection to complain of."""
    assert await resolve(Endpoint("localhost", 5)) == Endpoint("127.0.0.1", 5)
    for host in ("10.1.2.3", "::1", "no.such.host.invalid"):
        assert await resolve(Endpoint(host, 5)) == Endpoint(host, 5)


async def test_ipv6_is_reached_through_a_relay() -> None:
    """Bytes go both ways, to their ends, for one connection after the other."""
    if not socket.has_ipv6:
        pytest.skip("this Python knows no IPv6")

    async def echo(stream: SocketStream) -> None:
        async with stream:
            async for chunk in stream:
                await stream.send(chunk)
            await stream.send_eof()

    try:
        listener = await anyio.create_tcp_listener(local_host="::1")
    except OSError as error:
        pytest.skip(f"this machine has no IPv6: {error}")
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, echo)
        port = listener.extra(anyio.abc.SocketAttribute.local_port)  # noqa: S610 -- anyio's, not Django's
        async with ipv4_path(Endpoint("::1", int(port))) as address:
            host, _, relay = address.partition(":")
            assert host == "127.0.0.1"
            for data in (b"hello", b"x" * 300_000):
                assert await converse(Endpoint(host, int(relay)), data) == data
        tasks.cancel_scope.cancel()


async def test_nobody_behind_a_relay_closes_the_connection() -> None:
    """As llama.cpp would find at an address of its own."""
    with a_closed_port() as closed:
        async with ipv4_path(Endpoint("::1", closed.port)) as address:
            host, _, port = address.partition(":")
            with anyio.fail_after(5):
                async with await anyio.connect_tcp(host, int(port)) as stream:
                    with pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
                        await stream.receive()
