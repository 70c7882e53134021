"""Two members of a swarm with TLS transports, each with a forwarding process of its own."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

import anyio
from anyio.abc import SocketStream
from swarmgate.api import GATEWAY, Endpoint, Membership, Role
from swarmgate.swarm.certificates import authority_certificate, issue
from swarmgate.swarm.keys import public_key
from swarmgate.swarm.token import Token
from swarmgate.testing import a_swarm
from swarmgate.testing.streams import answers
from swarmgate_transport_tls.transport import TlsTransport, open_transport


def opened(member: Membership, *, seconds: float = 5.0) -> AbstractAsyncContextManager[TlsTransport]:
    """Open a transport of *member* on loopback."""
    return open_transport(member, listen="127.0.0.1:0", announce=[], timeout_seconds=seconds)


@dataclass
class Pair:
    """Who reaches (*here*) and who is reached (*far*), where *address* leads to what is exposed."""

    here: TlsTransport
    far: TlsTransport
    one: Membership
    other: Membership
    address: str

    @property
    def door(self) -> Endpoint:
        """Return where the far one listens."""
        host, _, port = self.address.partition("@")[2].partition("/")[0].rpartition(":")
        return Endpoint(host, int(port))


@asynccontextmanager
async def pair(exposed: Endpoint, *roles: Role, seconds: float = 5.0) -> AsyncGenerator[Pair]:
    """Hold two members' transports, the far one exposing *exposed* as a gateway."""
    one, other = a_swarm(*(roles or ("owner", "owner")))
    async with (
        opened(other, seconds=seconds) as far,
        opened(one, seconds=seconds) as here,
        far.expose(GATEWAY, exposed) as addresses,
    ):
        yield Pair(here, far, one, other, addresses[0])


def ended_and_good() -> tuple[Membership, Membership]:
    """Return two members of one swarm, the first with an invite that ended a day ago."""
    token = Token.make()
    secrets, now = token.secrets, time.time()
    found: list[Membership] = []
    for letter, made in ((b"a", now - 3 * 86400), (b"b", now)):
        key = letter * 32
        certificate = issue(secrets.authority, public_key(key), "node", now=made, days=2)
        authority = authority_certificate(secrets.authority)
        found.append(Membership(key, certificate, authority, secrets.rendezvous, secrets.sealing))
    return found[0], found[1]


async def is_cut(stream: SocketStream) -> bool:
    """Return whether *stream*, once all that was on its way has been read, was cut and did not end."""
    try:
        while True:
            await stream.receive()
    except anyio.EndOfStream:
        return False
    except anyio.BrokenResourceError:
        return True


async def until(holds: Callable[[], bool], *, seconds: float = 10.0) -> None:
    """Wait until *holds*, for something of another process that tells nobody."""
    with anyio.fail_after(seconds):
        while not holds():  # noqa: ASYNC110  # nothing to wait on
            await anyio.sleep(0.01)


def free_port() -> int:
    """Return a port of loopback that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def kill(made: TlsTransport) -> int:
    """Kill the process that carries the bytes; return which it was."""
    pid = made.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    return pid


async def until_listening(held: Pair) -> None:
    """Wait until somebody listens at the far door."""
    with anyio.fail_after(20):
        while not await answers(held.door):  # noqa: ASYNC110  # of another process
            await anyio.sleep(0.02)
