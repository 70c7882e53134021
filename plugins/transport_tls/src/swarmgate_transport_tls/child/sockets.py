"""What is set on sockets, and how they are opened and closed."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from contextlib import suppress

#: A machine that vanished while nothing was sent is noticed by the kernel, too, though later than by the control
#: connection: after this long without an answer, in seconds.
_IDLE_SECONDS, _INTERVAL_SECONDS, _PROBES = 5, 5, 3
_BACKLOG = 512
#: How long a refusal may take to be read, and how much more is heard meanwhile.
_FAREWELL_SECONDS, _FAREWELL_BYTES = 1.0, 1 << 16
_NO_LINGER, _LINGER = struct.pack("ii", 1, 0), struct.pack("ii", 0, 0)


def tune(sock: socket.socket) -> None:
    """Make *sock* ready for carrying: nothing waits for more to come, and the kernel looks after the other side."""
    sock.setblocking(False)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (
        ("TCP_KEEPIDLE", _IDLE_SECONDS),
        ("TCP_KEEPINTVL", _INTERVAL_SECONDS),
        ("TCP_KEEPCNT", _PROBES),
    ):
        if (option := getattr(socket, name, None)) is not None:
            sock.setsockopt(socket.IPPROTO_TCP, option, value)


def expect_answers(sock: socket.socket, seconds: float) -> None:
    """Have the kernel give up when what was sent is not acknowledged for so long.

    Not for connections that carry data: a receiver that does not read for a while counts as silent, too.
    """
    if (option := getattr(socket, "TCP_USER_TIMEOUT", None)) is not None:
        sock.setsockopt(socket.IPPROTO_TCP, option, int(seconds * 1000))


def cut_by_default(sock: socket.socket) -> None:
    """Have *sock* closed as cut, also when this process is killed: the kernel would tell that as an end like others."""
    with suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)


def reset(sock: socket.socket) -> None:
    """Close *sock* so that the other side learns that it was cut, and did not end."""
    cut_by_default(sock)
    sock.close()


def end(sock: socket.socket) -> None:
    """Close *sock*, whose end has been said, so that what was sent last arrives."""
    with suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER)
    sock.close()


async def close_softly(sock: socket.socket) -> None:
    """Close *sock* so that what was said last arrives: closed with something unread, it would be lost."""
    loop = asyncio.get_running_loop()
    with suppress(OSError, TimeoutError):
        sock.shutdown(socket.SHUT_WR)
        left = _FAREWELL_BYTES
        async with asyncio.timeout(_FAREWELL_SECONDS):
            while left > 0 and (data := await loop.sock_recv(sock, left)):
                left -= len(data)
    sock.close()


async def dial(host: str, port: int) -> socket.socket:
    """Return a connection to *host*, a name or an address; of several addresses the first that answers.

    Raises:
        OSError: nobody does; of several errors the first.

    """
    loop = asyncio.get_running_loop()
    failed: OSError | None = None
    for family, kind, _, _, where in await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        made = socket.socket(family, kind)
        try:
            tune(made)
            await loop.sock_connect(made, where)
        except OSError as error:
            made.close()
            failed = failed or error
        except BaseException:
            made.close()
            raise
        else:
            return made
    raise failed or OSError(f"{host} has no address")


def listen(host: str, port: int) -> list[socket.socket]:
    """Return sockets that listen on *port* of every address that *host* has; ``::`` is IPv4, too.

    Raises:
        OSError: one of them cannot be listened on.

    """
    opened: list[socket.socket] = []
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, where in dict.fromkeys((family, str(where[0])) for family, _, _, _, where in found):
            # where any port will do, all addresses take the one that the first was given
            chosen = port or (opened[0].getsockname()[1] if opened else 0)
            both = family == socket.AF_INET6 and where == "::" and socket.has_dualstack_ipv6()
            made = socket.create_server((where, chosen), family=family, backlog=_BACKLOG, dualstack_ipv6=both)
            made.setblocking(False)
            opened.append(made)
    except OSError:
        for made in opened:
            made.close()
        raise
    return opened


def reason(error: BaseException) -> str:
    """Return what the system said, in lower case."""
    if isinstance(error, TimeoutError) and not error.errno:
        return "no answer in time"
    if isinstance(error, socket.gaierror):
        return str(error.strerror).lower()
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno).lower()
    return str(error) or type(error).__name__
