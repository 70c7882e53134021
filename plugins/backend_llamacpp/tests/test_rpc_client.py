from __future__ import annotations

import struct
from contextlib import AbstractAsyncContextManager, suppress

import anyio
import pytest
from anyio.abc import SocketStream
from swarmgate.api import Endpoint, Unreachable, encode_frame
from swarmgate.testing.streams import a_closed_port, a_server, an_echo
from swarmgate_backend_llamacpp.rpc.client import lease, probe
from swarmgate_backend_llamacpp.rpc.lease import LENDER, Facts

pytestmark = pytest.mark.anyio


def foreign(version: bytes = b"\x07\x00\x00", devices: int = 2) -> AbstractAsyncContextManager[Endpoint]:
    """Return what answers a connection as llama.cpp's own rpc-server does."""

    async def answer(stream: SocketStream) -> None:
        data = b""
        while True:
            data += await stream.receive()
            if data[0] != 14 and not data.startswith((b"\x0f", b"\x0b")):
                return  # "Expected HELLO command"
            (size,) = struct.unpack("<Q", data[1:9])
            assert len(data) == 9 + size
            body = {
                14: version.ljust(28, b"\0"),
                15: struct.pack("<I", devices),
                11: struct.pack("<QQ", 5, 7),
            }[data[0]]
            data = b""
            await stream.send(struct.pack("<Q", len(body)) + body)

    async def serve(stream: SocketStream) -> None:
        with suppress(anyio.EndOfStream):
            await answer(stream)

    return a_server(serve)


async def test_llama_cpp_s_own_server_is_understood() -> None:
    """It tells its version and its devices' memory, and keeps no leases: it can be used as it is."""
    async with foreign() as endpoint:
        facts = await probe(endpoint)
        assert (facts.rpc_version, facts.keeps_leases, facts.leased_by) == ("7.0.0", False, "")
        assert (len(facts.devices), facts.memory_bytes, facts.memory_total_bytes) == (2, 10, 14)
        assert facts.labels()["memory_bytes"] == "10"
        assert not {"node", "instance"} & facts.labels().keys()  # llama.cpp's own knows neither
        async with lease(endpoint, "alpha") as held:
            assert held.facts == facts
            assert not held.lost


@pytest.mark.parametrize("version", [b"\x06\x01\x00", b"\x08\x00\x00", b"\x07\x01\x00"])
async def test_another_version_is_refused_with_both(version: bytes) -> None:
    """Before anything is loaded: llama.cpp would abort."""
    theirs = ".".join(map(str, version))
    async with foreign(version) as endpoint:
        with pytest.raises(Unreachable, match=rf"speaks version {theirs} .* and this machine 7\.0\.0"):
            await probe(endpoint)


async def test_a_lender_of_another_version_is_refused_with_both() -> None:
    """The version that counts is llama.cpp's, whoever stands before it."""

    async def tell(stream: SocketStream) -> None:
        await stream.receive()
        await stream.send(LENDER + encode_frame(Facts((), "6.0.0")))

    async with a_server(tell) as endpoint:
        with pytest.raises(Unreachable, match=r"speaks version 6\.0\.0"):
            await probe(endpoint)


async def test_a_silent_port_is_given_up() -> None:
    """In time, with what may be the cause."""

    async def listen(stream: SocketStream) -> None:
        async for _ in stream:
            pass

    async with a_server(listen) as endpoint:
        with pytest.raises(Unreachable, match=rf"{endpoint} did not answer within 0.2 s: .* busy with another client"):
            await probe(endpoint, timeout_seconds=0.2)


@pytest.mark.parametrize(
    "words", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"SSH-2.0-OpenSSH_9.6\r\n", LENDER + b"\xff\xff\xff\xff"]
)
async def test_a_port_that_speaks_something_else_is_named(words: bytes) -> None:
    """With what it said, or why that cannot be read."""

    async def talk(stream: SocketStream) -> None:
        await stream.receive()
        await stream.send(words)

    async with a_server(talk) as endpoint:
        reason = r"(it speaks HTTP|expected .*, found|a frame)"
        with pytest.raises(Unreachable, match=f"{endpoint} is no llama.cpp worker: {reason}"):
            await probe(endpoint)


async def test_an_echo_is_no_lender() -> None:
    """Our own words, sent back, convince nobody."""
    async with an_echo() as endpoint:
        with pytest.raises(Unreachable, match=r"is no llama\.cpp worker"):
            await probe(endpoint)


async def test_a_port_that_closes_is_named() -> None:
    """Whoever closes on both questions may be in use, or of another time."""

    async def close(stream: SocketStream) -> None:
        await stream.receive()

    async with a_server(close) as endpoint:
        with pytest.raises(Unreachable, match=f"{endpoint} closes the connection at once"):
            await probe(endpoint)


async def test_nobody_there_is_named() -> None:
    """A closed port, or a name that is none, is an address that nothing answers at."""
    with a_closed_port() as endpoint, pytest.raises(Unreachable, match=f"nothing answers at {endpoint}: connection"):
        await probe(endpoint)
    with pytest.raises(Unreachable, match=r"nothing answers at no\.such\.host\.invalid:1"):
        await probe(Endpoint("no.such.host.invalid", 1))
