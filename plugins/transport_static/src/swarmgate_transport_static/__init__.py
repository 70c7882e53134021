"""Workers and gateways at addresses known beforehand, over plain TCP."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from msgspec import Meta
from swarmgate.api import Check, Discovery, Options, Part, PartContext, Transport, hookimpl


class TcpOptions(Options, frozen=True):
    """What can be set for plain TCP."""

    #: How long an address may take to answer before it counts as unreachable, in seconds.
    timeout_seconds: Annotated[float, Meta(gt=0)] = 5.0
    #: The host, or host:port, that others are told to dial; unset, it is where the service listens.
    announce: str = ""


class StaticOptions(Options, frozen=True):
    """What can be set for the fixed lists."""

    #: llama.cpp RPC servers, each as host:port, such as 10.0.0.5:50052 or [fd00::5]:50052.
    workers: list[str] = []
    #: Other gateways, each as host:port.
    nodes: list[str] = []


@asynccontextmanager
async def open_tcp(options: TcpOptions, context: PartContext) -> AsyncGenerator[Transport]:
    """Open the transport; it holds nothing of its own."""
    from swarmgate_transport_static.transport import TcpTransport

    yield TcpTransport(timeout_seconds=options.timeout_seconds, announce=options.announce)


@asynccontextmanager
async def open_static(options: StaticOptions, context: PartContext) -> AsyncGenerator[Discovery]:
    """Open the lists; entries that cannot be read are logged and left out."""
    from swarmgate_transport_static.discovery import StaticDiscovery

    yield StaticDiscovery(options.workers, options.nodes)


@hookimpl
def swarmgate_transport() -> list[Part[Any, Transport]]:
    """Offer ``tcp``."""
    return [Part("tcp", "Plain TCP, for networks you trust.", TcpOptions, open_tcp)]


@hookimpl
def swarmgate_discovery() -> list[Part[Any, Discovery]]:
    """Offer ``static``."""
    summary = "Fixed lists of workers and gateways."
    return [Part("static", summary, StaticOptions, open_static, environ={"LLAMACPP_GRPC_SERVERS": "workers"})]


@hookimpl
def swarmgate_checks() -> list[Check]:
    """Offer what the doctor asks of the fixed lists."""
    from swarmgate_transport_static.checkup import LISTS

    return [LISTS]
