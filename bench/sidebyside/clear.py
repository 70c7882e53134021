"""The forwarder of ``transport_tls`` without TLS: what the two extra hops cost by themselves."""

from __future__ import annotations

import asyncio
import socket
import ssl
from multiprocessing.connection import Connection
from typing import Any, Literal, cast

import uvloop
from swarmgate_transport_tls.child.secured import Secured
from swarmgate_transport_tls.child.sockets import dial, listen, tune
from swarmgate_transport_tls.child.tunnel import Scratch, Tunnel


class Clear:
    """Stands where TLS would, and changes nothing."""

    def __init__(self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO) -> None:
        self._incoming, self._outgoing = incoming, outgoing

    def write(self, data: memoryview | bytes) -> int:
        """Pass *data* out."""
        return self._outgoing.write(data)

    def read(self, size: int, buffer: memoryview) -> int:
        """Fill *buffer* with what has come.

        Raises:
            SSLWantReadError: nothing has.

        """
        data = self._incoming.read(size)
        if not data:
            raise ssl.SSLWantReadError
        buffer[: len(data)] = data
        return len(data)


def forward(pipe: Connection, side: Literal["near", "far"], port: int) -> None:
    """Be one of two forwarders, in a process of its own: say the port to dial, and carry what comes on to *port*.

    The ``near`` one is dialled by who sends, and dials the ``far`` one, which dials who is to hear it.
    """
    uvloop.run(_forward(pipe, side, port))


async def _forward(pipe: Connection, side: Literal["near", "far"], port: int) -> None:
    (listening,) = listen("127.0.0.1", 0)
    pipe.send(int(listening.getsockname()[1]))
    scratch, tunnels = Scratch(), set[Tunnel]()
    loop = asyncio.get_running_loop()
    while True:
        accepted, _ = await loop.sock_accept(listening)
        tune(accepted)
        dialled = await dial("127.0.0.1", port)
        plain, framed = (accepted, dialled) if side == "near" else (dialled, accepted)
        tunnel = Tunnel(plain, _clear(framed), scratch, tunnels.discard)
        tunnels.add(tunnel)
        tunnel.begin()


def _clear(sock: socket.socket) -> Secured:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    return Secured(sock, cast("Any", Clear(incoming, outgoing)), incoming, outgoing)
