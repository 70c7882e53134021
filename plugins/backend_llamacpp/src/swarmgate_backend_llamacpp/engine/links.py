"""Lets the kernel notice that a worker has vanished, on the connections that llama.cpp opened.

llama.cpp waits for its workers without a limit.  A lender of ours is watched over its control connection; of
llama.cpp's own rpc-server only its connections can tell.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

_DESCRIPTORS = Path("/proc/self/fd")
#: In seconds: a quiet connection is tried after this long, and then so often.
_IDLE, _INTERVAL, _PROBES = 3, 2, 3
#: How long what was sent may stay unacknowledged, in milliseconds.  The kernel counts a receiver whose buffers are
#: full as silent, too, and a server that writes a tensor into its cache does not read: so not less.
_UNACKNOWLEDGED_MS = 20_000


def watch_links(addresses: Collection[str]) -> int:
    """Let connections of this process to *addresses* (``host:port``, IPv4) fail when nobody is there any more.

    Long computing does not matter: the other machine's kernel answers for it.  Returns how many there are;
    where the system does not say what is open, none.
    """
    found = 0
    for entry in _open_descriptors():
        with suppress(OSError):  # no socket, not connected, or closed meanwhile
            link = socket.socket(fileno=entry)
            try:
                host, port = link.getpeername()[:2] if link.family == socket.AF_INET else ("", 0)
                if f"{host}:{port}" in addresses:
                    _watch(link)
                    found += 1
            finally:
                link.detach()  # it is llama.cpp's
    return found


def keep_watching(addresses: Collection[str], ended: threading.Event) -> None:
    """Do so every second until *ended*: while it loads, llama.cpp opens connections anew."""
    while not ended.wait(1.0):
        watch_links(addresses)


def _open_descriptors() -> list[int]:
    try:
        return [int(entry.name) for entry in _DESCRIPTORS.iterdir()]
    except OSError:
        return []


def _watch(link: socket.socket) -> None:
    link.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    settings = (
        ("TCP_KEEPIDLE", _IDLE),
        ("TCP_KEEPINTVL", _INTERVAL),
        ("TCP_KEEPCNT", _PROBES),
        ("TCP_USER_TIMEOUT", _UNACKNOWLEDGED_MS),
    )
    for name, value in settings:
        if number := getattr(socket, name, None):
            link.setsockopt(socket.IPPROTO_TCP, number, value)
