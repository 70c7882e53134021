"""TLS 1.3 tunnels between the members of a swarm: the transport ``tls``."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from msgspec import Meta
from swarmgate.api import Options, Part, PartContext, Transport, hookimpl


class TlsOptions(Options, frozen=True):
    """What can be set for TLS tunnels."""

    #: Where to listen for other members, as host:port, once something is exposed; port 0 takes any free one.  Unset,
    #: it is port 7479 of every interface, or a free port if that one is taken.
    listen: str = ""
    #: The hosts, each also as host:port, that others are told to dial; unset, they are this machine's own addresses.
    announce: list[str] = []
    #: How long a peer may take to answer before it counts as unreachable, in seconds.
    timeout_seconds: Annotated[float, Meta(gt=0)] = 5.0


@asynccontextmanager
async def open_tls(options: TlsOptions, context: PartContext) -> AsyncGenerator[Transport]:
    """Open the transport: a child process carries the bytes.

    Raises:
        ConfigError: this node is in no swarm, or an option cannot be read; the message names it.

    """
    from swarmgate_transport_tls.transport import open_transport

    async with open_transport(
        context.member("tls"), listen=options.listen, announce=options.announce, timeout_seconds=options.timeout_seconds
    ) as transport:
        yield transport


@hookimpl
def swarmgate_transport() -> list[Part[Any, Transport]]:
    """Offer ``tls``."""
    return [Part("tls", "TLS 1.3 tunnels between the members of a swarm.", TlsOptions, open_tls, members_only=True)]
