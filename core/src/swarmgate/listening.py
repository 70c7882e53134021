"""Sockets that listen, and what to say when they cannot."""

from __future__ import annotations

import errno
import ipaddress
import platform
import socket

import anyio

from swarmgate.errors import ConfigError
from swarmgate.nouns import Endpoint

_BACKLOG = 2048
_LAST_PORT = 65535
_REMEDY = "choose another with --listen HOST:PORT (port 0 takes a free one)"
_REASONS = {
    errno.EADDRINUSE: f"something else listens there; stop it, or {_REMEDY}",
    errno.EACCES: "ports below 1024 are the administrator's; take a higher one",
    errno.EADDRNOTAVAIL: f"this machine does not have that address; {_REMEDY}",
}


async def listen(address: str) -> tuple[socket.socket, ...]:
    """Return sockets that listen on *address*, ``HOST:PORT``: one for each family the host has.

    Raises:
        ConfigError: they cannot; the message names the address and what to do.

    """
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    if int(port) > _LAST_PORT:
        raise ConfigError(f"cannot listen on {address}: ports go up to {_LAST_PORT}; {_REMEDY}")
    try:
        infos = await anyio.getaddrinfo(host, int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (socket.gaierror, UnicodeError) as error:
        raise ConfigError(f"cannot listen on {address}: {error}; {_REMEDY}") from None
    sockets: list[socket.socket] = []
    for family, _, _, _, where in dict.fromkeys(infos):
        # where any port will do, all families take the one that the first was given
        chosen = int(where[1]) or (sockets[0].getsockname()[1] if sockets else 0)
        try:
            sockets.append(_listener(family, (str(where[0]), chosen)))
        except OSError as error:
            if sockets and error.errno in {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}:
                continue  # a name for both families on a machine with one
            for opened in sockets:
                opened.close()
            reason = _REASONS.get(error.errno or 0, f"{error.strerror or error}; {_REMEDY}")
            raise ConfigError(f"cannot listen on {address}: {reason}") from None
    return tuple(sockets)


def _listener(family: int, where: tuple[str, int]) -> socket.socket:
    # by the protocol that the listener names, asyncio knows to set TCP_NODELAY on what it accepts
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind(where)
        listener.listen(_BACKLOG)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener


def url_of(address: str, sockets: tuple[socket.socket, ...]) -> str:
    """Return the URL under which this machine reaches what listens on *address* by *sockets*."""
    host = address.rpartition(":")[0]
    port = sockets[0].getsockname()[1]
    if host == "0.0.0.0":  # noqa: S104  # compared, not bound
        host = "127.0.0.1"
    elif host == "[::]":
        host = "[::1]"
    return f"http://{host}:{port}"


def leads_to(sockets: tuple[socket.socket, ...], endpoint: Endpoint) -> bool:
    """Return whether a connection to *endpoint*, an IP address, would come out at one of *sockets*."""
    try:
        wanted = ipaddress.ip_address(endpoint.host.partition("%")[0])
    except ValueError:
        return False
    for listener in sockets:
        host, port = listener.getsockname()[:2]
        bound = ipaddress.ip_address(str(host).partition("%")[0])
        if port == endpoint.port and (bound == wanted or (bound.is_unspecified and _is_ours(wanted))):
            return True
    return False


def _is_ours(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Return whether *address* is this machine's: one can bind to no other."""
    if address.is_loopback:
        return True
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6  # noqa: PLR2004  # IPv4
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((str(address), 0))
        except OSError:
            return False
    return True


def only_here(sockets: tuple[socket.socket, ...]) -> bool:
    """Return whether nobody but this machine can reach *sockets*."""
    return all(ipaddress.ip_address(listener.getsockname()[0].partition("%")[0]).is_loopback for listener in sockets)


def is_here(host: str) -> bool:
    """Return whether *host* plainly is this machine, reachable by nobody else."""
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return host.lower().rstrip(".") == "localhost"


def here(host: str) -> str:
    """Return by what this machine itself reaches what listens on *host*: where that means all, by loopback."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if not address.is_unspecified:
        return host
    return "127.0.0.1" if address.version == 4 else "::1"  # noqa: PLR2004  # IPv4


def dialled(host: str) -> str:
    """Return what others dial to reach what listens on *host*: where that means all, the address they see."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if not address.is_unspecified:
        return host
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6  # noqa: PLR2004  # IPv4
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.setblocking(False)
            # of a datagram socket: asks for the route, sends nothing; the address is one for documentation
            probe.connect(("192.0.2.1" if family == socket.AF_INET else "2001:db8::1", 9))
            return str(probe.getsockname()[0])
    except OSError:
        return platform.node()
