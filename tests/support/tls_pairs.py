"""Two members of a swarm with TLS transports, each with a forwarding process of its own."""

from __future__ import annotations

import socket
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

import anyio
import anyio.to_thread
from anyio.abc import SocketStream
from swarmgate.api import GATEWAY, Endpoint, Membership, Role
from swarmgate.swarm.certificates import issue
from swarmgate.swarm.membership import Membership as Place
from swarmgate.swarm.token import Token
from swarmgate.testing import a_swarm
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
        from swarmgate.swarm.certificates import authority_certificate
        from swarmgate.swarm.keys import public_key

        certificate = issue(secrets.authority, public_key(key), "node", now=made, days=2)
        authority = authority_certificate(secrets.authority)
        found.append(Place(key, certificate, authority, secrets.rendezvous, secrets.sealing))
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


async def in_thread(do: Callable[[], bytes]) -> bytes:
    """Return what *do*, which blocks, returns."""
    return await anyio.to_thread.run_sync(do)


def free_port() -> int:
    """Return a port of loopback that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
