"""A way to a worker that llama.cpp can take: its RPC client knows IPv4 alone."""

from __future__ import annotations

import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio
import structlog
from anyio.abc import TaskGroup
from swarmgate.api import Endpoint, background

from swarmgate_backend_llamacpp.rpc.pipe import carry, dial, prepare
from swarmgate_backend_llamacpp.rpc.reasons import reason

_LOOPBACK = "127.0.0.1"


async def resolve(endpoint: Endpoint) -> Endpoint:
    """Return *endpoint* with an address for its name, IPv4 if there is one; with the name if nobody knows it.

    A lender compares where the lease and llama.cpp's connection come from, so both have to go the same way.
    """
    for family in (socket.AF_INET, socket.AF_UNSPEC):
        try:
            found = await anyio.getaddrinfo(endpoint.host, endpoint.port, family=family, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            continue
        if found:
            return Endpoint(str(found[0][4][0]), endpoint.port)
    return endpoint


@asynccontextmanager
async def ipv4_path(endpoint: Endpoint) -> AsyncGenerator[str]:
    """Hold a way to *endpoint*, as :func:`resolve` returned it, and yield its IPv4 address with the port."""
    if ":" not in endpoint.host:
        yield str(endpoint)
        return
    with socket.create_server((_LOOPBACK, 0)) as listening:
        listening.setblocking(False)
        async with background() as tasks:
            tasks.start_soon(_accept, listening, endpoint, tasks)
            yield f"{_LOOPBACK}:{listening.getsockname()[1]}"


async def _accept(listening: socket.socket, endpoint: Endpoint, tasks: TaskGroup) -> None:
    while True:
        await anyio.wait_readable(listening)
        try:
            accepted, _ = listening.accept()
        except OSError:  # whoever came has left already
            continue
        tasks.start_soon(_relay, accepted, endpoint)


async def _relay(accepted: socket.socket, endpoint: Endpoint) -> None:
    with accepted:
        prepare(accepted)
        try:
            with await dial(endpoint.host, endpoint.port, socket.AF_INET6) as far:
                prepare(far)
                await carry(accepted, far, near_ended=lambda: None)
        except OSError as error:
            log = structlog.get_logger("swarmgate.llamacpp")
            log.warning("relay.failed", endpoint=str(endpoint), reason=reason(error))
