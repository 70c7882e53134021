from __future__ import annotations

import struct
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from swarmgate.api import WireError
from swarmgate_backend_llamacpp.rpc.hello import OURS, Interview, Memory, RpcVersion

memories = st.lists(st.builds(Memory, st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1)), min_size=1, max_size=20)


def reply(body: bytes) -> bytes:
    return struct.pack("<Q", len(body)) + body


def hello(version: RpcVersion = OURS, size: int = 28) -> bytes:
    return reply(bytes(version).ljust(size, b"\0"))


class Server:
    """Answers as llama.cpp's own would."""

    def __init__(self, memory: list[Memory]) -> None:
        self.memory = memory
        self.heard: list[int] = []

    def answer(self, request: bytes) -> bytes:
        command, (size,) = request[0], struct.unpack("<Q", request[1:9])
        assert len(request) == 9 + size
        self.heard.append(command)
        if command == 14:
            assert request[9:] == bytes(24)
            return hello()
        if command == 15:
            return reply(struct.pack("<I", len(self.memory)))
        assert command == 11
        return reply(struct.pack("<QQ", *self.memory[struct.unpack("<I", request[9:])[0]]))


@given(memories, st.integers(1, 40))
def test_an_interview_learns_version_and_memory(memory: list[Memory], step: int) -> None:
    """However the bytes are cut, it asks HELLO, the count, and each device once."""
    server, interview = Server(memory), Interview()
    request = interview.begin()
    while not interview.done:
        answer = server.answer(request)
        requests = [interview.feed(answer[start : start + step]) for start in range(0, len(answer), step)]
        assert not any(requests[:-1])
        request = requests[-1]
    assert request == b""
    assert (interview.version, interview.memory) == (OURS, memory)
    assert server.heard == [14, 15, *[11] * len(memory)]


@given(st.binary(min_size=8, max_size=200))
def test_garbage_is_an_error_of_ours(data: bytes) -> None:
    """Whatever a port says in place of a HELLO is a WireError that quotes it."""
    interview = Interview()
    interview.begin()
    if struct.unpack("<Q", data[:8])[0] in (3, 4, 28):
        with suppress(WireError):  # more may follow than was announced
            interview.feed(data)
    else:
        with pytest.raises(WireError, match=r"expected a reply of llama.cpp's RPC protocol, found b['\"]"):
            interview.feed(data)


@pytest.mark.parametrize("size", [3, 4, 28])
def test_another_major_ends_the_interview(size: int) -> None:
    """Old servers answer HELLO in another size; their version is told, and nothing more is asked."""
    interview = Interview()
    interview.begin()
    assert interview.feed(hello(RpcVersion(3, 6, 1), size)) == b""
    assert interview.done
    assert str(interview.version) == "3.6.1"


@pytest.mark.parametrize("count", [0, 257, 2**32 - 1])
def test_a_number_of_devices_is_believable(count: int) -> None:
    """No devices, or more than any machine has, is no answer."""
    interview = Interview()
    interview.begin()
    interview.feed(hello())
    with pytest.raises(WireError, match=f"expected 1 to 256 devices, found {count}"):
        interview.feed(reply(struct.pack("<I", count)))


def test_a_server_only_answers() -> None:
    """More than was asked for is an error."""
    interview = Interview()
    interview.begin()
    with pytest.raises(WireError, match="found more"):
        interview.feed(hello() + b"x")


@pytest.mark.parametrize(
    ("server", "understood"),
    [((7, 0, 0), True), ((7, 0, 9), True), ((7, 1, 0), False), ((6, 0, 0), False), ((8, 0, 0), False)],
)
def test_versions_are_compared_as_llama_cpp_does(server: tuple[int, int, int], understood: bool) -> None:
    """The major has to be equal, and a server's minor no higher than the client's."""
    assert OURS.understands(RpcVersion(*server)) is understood
