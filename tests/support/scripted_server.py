"""A server on loopback that gives the answers it was told to, one after the other, for tests of who asks."""

from __future__ import annotations

import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from swarmgate.config.settings import Settings


@dataclass(frozen=True)
class Answer:
    """One answer; the connection ends with it, as a stream's that broke off."""

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True)
class Asked:
    """What came: path, headers (names in lower case) and body."""

    path: str
    headers: dict[str, str]
    body: bytes


@contextmanager
def scripted(*answers: Answer) -> Generator[tuple[Settings, list[Asked]]]:
    """Run it; yield the settings of a gateway there, and what it was asked.  The last answer is given again."""
    asked: list[Asked] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            length = int(self.headers["Content-Length"] or 0)
            names = {name.lower(): value for name, value in self.headers.items()}
            asked.append(Asked(self.path, names, self.rfile.read(length)))
            answer = answers[min(len(asked), len(answers)) - 1]
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer.body)

        do_POST = do_GET  # noqa: N815 -- the server wants it called so

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 -- its own name
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever).start()
        try:
            yield Settings(listen=f"127.0.0.1:{server.server_port}", api_keys=("k1", "k2")), asked
        finally:
            server.shutdown()
