"""A machine whose cable is pulled while it answers: its kernel no longer says anything, and ours notices."""

from __future__ import annotations

import asyncio
import socket
import time
from typing import Any

import pytest
from misbehaving import Node, chunk, hang, serving
from namespaces import Lan, lan, why_not
from swarmgate.testing import a_node, a_request
from swarmgate_backend_openai import OpenAIOptions
from swarmgate_backend_openai.backend import open_backend
from swarmgate_backend_openai.client import ConnectionLost

_WHY_NOT = why_not()
pytestmark = [pytest.mark.journey, pytest.mark.skipif(bool(_WHY_NOT), reason=_WHY_NOT or "they can be made")]
#: Five seconds of silence, and three questions three seconds apart, as the client has the kernel ask.
_GONE_SECONDS = 5 + 3 * 3


def begin_and_compute(node: Node, connection: socket.socket, asked: dict[str, Any]) -> None:
    """Say one word, as a piece of a stream in chunks, and nothing more."""
    head, piece = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", chunk("one ")
    connection.sendall(head + b"%x\r\n%b\r\n" % (len(piece), piece))
    hang(node, connection, asked)


async def listen(net: Lan, url: str) -> float:
    """Return how long after the cable was pulled the answer ended, of a server of which nothing is known."""
    options = OpenAIOptions(url=url, silence_seconds=0)
    async with open_backend(options, a_node()) as backend, backend.generate(a_request()) as deltas:
        assert (await anext(deltas)).text == "one "
        await asyncio.to_thread(net.cut, "far")
        cut = time.monotonic()
        with pytest.raises(ConnectionLost):
            await anext(deltas)
        return time.monotonic() - cut


def test_an_answer_from_a_machine_that_is_gone_ends_in_seconds() -> None:
    """Without a single look: the server need not have proved anything, for its kernel would have answered."""
    with (
        lan("near", "far") as net,
        serving(net.run("far", lambda: Node(begin_and_compute, ("m",), net.hosts["far"]))) as node,
    ):
        seconds = net.run("near", lambda: asyncio.run(listen(net, node.url)))
    assert _GONE_SECONDS - 5 < seconds < _GONE_SECONDS + 5
    assert node.looks == 0
