"""The kernel is told to watch llama.cpp's connections."""

from __future__ import annotations

import socket
import sys
import threading
from contextlib import closing

import pytest
from swarmgate_backend_llamacpp.engine.links import keep_watching, watch_links

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux says what a process has open")


def test_connections_to_workers_alone_are_watched() -> None:
    """They stay open and usable; others, and listeners, are left as they are."""
    with (
        closing(socket.create_server(("127.0.0.1", 0))) as worker,
        closing(socket.create_server(("127.0.0.1", 0))) as stranger,
        closing(socket.create_connection(worker.getsockname())) as link,
        closing(socket.create_connection(stranger.getsockname())) as other,
    ):
        host, port = worker.getsockname()
        assert watch_links([f"{host}:{port}"]) == 1
        assert link.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert link.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 20_000
        assert other.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 0
        accepted, _ = worker.accept()
        with accepted:
            link.sendall(b"x")
            assert accepted.recv(1) == b"x"


def test_nobody_to_watch_is_no_work() -> None:
    """Watching ends when it is told to."""
    ended = threading.Event()
    ended.set()
    keep_watching([], ended)
    assert watch_links(["192.0.2.1:1"]) == 0
