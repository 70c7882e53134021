"""Plain TCP: the address is the endpoint."""

from __future__ import annotations

import os
import socket
import struct
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import cast

import anyio
import structlog
from anyio.abc import SocketAttribute
from swarmgate.api import ConfigError, Endpoint, Service, Unreachable, Way

from swarmgate_transport_static.addresses import SCHEME, UNPROTECTED, from_uri, is_loopback, is_wildcard, parse, to_uri

# Addresses of the documentation ranges: no packet is ever sent there, the route alone is asked for.
_ELSEWHERE = {socket.AF_INET: "192.0.2.1", socket.AF_INET6: "2001:db8::1"}


class TcpTransport:
    """Reaches ``tcp://host:port`` by dialling it; nothing is encrypted and nobody is asked who they are."""

    def __init__(self, *, timeout_seconds: float = 5.0, announce: str = "") -> None:
        self._timeout = timeout_seconds
        self._announce = announce
        self._held: list[Way] = []

    def __repr__(self) -> str:
        return f"<TcpTransport, {self._timeout:g} s to answer>"

    @property
    def scheme(self) -> str:
        """Return ``tcp``."""
        return SCHEME

    @asynccontextmanager
    async def reach(self, address: str) -> AsyncGenerator[Endpoint]:
        """Check that *address* answers, and yield the one of its IP addresses that did.

        Leaving closes nothing: the endpoint is the far side's own.

        Raises:
            Unreachable: nothing listens there, it took too long, or it is no ``tcp://`` address.

        """
        try:
            target = from_uri(address)
        except ConfigError as fault:
            raise Unreachable(str(fault)) from None
        endpoint, rtt = await self._dial(target)
        way = Way(address=address, rtt_seconds=rtt)
        self._held.append(way)
        try:
            yield endpoint
        finally:
            self._held.remove(way)

    @asynccontextmanager
    async def expose(self, service: Service, endpoint: Endpoint) -> AsyncGenerator[tuple[str, ...]]:
        """Yield the address that others dial to get to *endpoint*, which must itself be dialable.

        Raises:
            Unreachable: *announce* is malformed, or this machine has no address to tell.

        """
        public = self._public(endpoint)
        if not is_loopback(public.host):
            log = structlog.get_logger("swarmgate.transport_static")
            log.warning("transport.unprotected", service=service, address=to_uri(public), reason=UNPROTECTED)
        yield (to_uri(public),)

    def ways(self) -> tuple[Way, ...]:
        """Return the paths held open: all direct, with the round trip that dialling took."""
        return tuple(self._held)

    async def _dial(self, target: Endpoint) -> tuple[Endpoint, float | None]:
        try:
            with anyio.fail_after(self._timeout):
                stream = await anyio.connect_tcp(target.host, target.port)
        except TimeoutError:
            raise Unreachable(
                f"{to_uri(target)} did not answer within {self._timeout:g} s: is the machine on, "
                "and does a firewall let this port through?"
            ) from None
        except (OSError, UnicodeError) as error:
            raise Unreachable(f"nothing answers at {to_uri(target)}: {_reason(error)}") from error
        async with stream:
            host, port = stream.extra(SocketAttribute.remote_address)[:2]  # noqa: S610 -- anyio's, not Django's
            rtt = round_trip(stream.extra(SocketAttribute.raw_socket))  # noqa: S610 -- likewise
        return Endpoint(str(host), int(port)), rtt

    def _public(self, endpoint: Endpoint) -> Endpoint:
        if self._announce:
            try:
                return _announced(self._announce, endpoint.port)
            except ConfigError as fault:
                raise Unreachable(f"announce: {fault}") from None
        if not is_wildcard(endpoint.host):
            return endpoint
        host = own_address(socket.AF_INET6 if ":" in endpoint.host else socket.AF_INET)
        if host is None:
            raise Unreachable(
                f"{endpoint} listens on every interface, and this machine has no address to tell others: "
                "set announce to the host they should dial"
            )
        return Endpoint(host, endpoint.port)


def round_trip(dialled: socket.socket) -> float | None:
    """Return what the kernel measured while *dialled* was connected, in seconds; None where it does not say.

    The field ``tcpi_rtt`` of Linux's ``struct tcp_info`` (tcp(7), linux/tcp.h): microseconds, 68 bytes from its start.
    """
    if sys.platform != "linux":
        return None
    try:
        (microseconds,) = struct.unpack_from("=I", dialled.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 72), 68)
    except (OSError, struct.error):
        return None
    return microseconds / 1e6 if microseconds else None


def own_address(family: socket.AddressFamily) -> str | None:
    """Return the address this machine would use towards others, or None if it has no route."""
    with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.setblocking(False)
        probe.connect((_ELSEWHERE[family], 9))  # of a datagram socket: asks for the route, sends nothing
        return str(probe.getsockname()[0])
    return None


def _announced(text: str, port: int) -> Endpoint:
    """Read *announce*: a host, to which the service's own port is added, or host:port."""
    has_port = text.rpartition(":")[2].isdigit() and not (text.count(":") > 1 and "]:" not in text)
    if has_port:
        return parse(text)
    bare_ipv6 = text.count(":") > 1 and not text.startswith("[")
    return parse(f"[{text}]:{port}" if bare_ipv6 else f"{text}:{port}")


def _reason(error: Exception) -> str:
    """Return what the system said, without the wrapping that dialling several addresses adds."""
    if isinstance(error, ExceptionGroup):
        group = cast("ExceptionGroup[Exception]", error)
        return "; ".join(dict.fromkeys(map(_reason, group.exceptions)))
    if isinstance(error.__cause__, Exception):
        return _reason(error.__cause__)
    if isinstance(error, OSError) and error.strerror:
        # the number's own text: asyncio writes the address into strerror, trio does not
        number = error.errno or 0
        return (os.strerror(number) if number > 0 else error.strerror).lower()
    return str(error) or type(error).__name__
