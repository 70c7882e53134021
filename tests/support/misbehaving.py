"""Servers that speak OpenAI's API and do it wrong, each in its own way; for tests of whoever asks them."""

from __future__ import annotations

import json
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

#: What a server does with a request whose body was read; the rest of the connection is closed after it.
Conduct = Callable[["Node", socket.socket, dict[str, Any]], None]
_WORDS = ("one ", "two ", "thrée ", "four")


class Node(socketserver.ThreadingTCPServer):
    """A server that lists *models* and otherwise does as *conduct* says; *asked* counts what it was asked.

    What it tells of each model besides its name is *meta*, of itself as a gateway, if it is one, *gateway*.  Looks
    whether it lives, counted in *looks*, wait until *lives* is set, as does the list; with None they are answered as
    *conduct* says.
    """

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, conduct: Conduct, models: tuple[str, ...], host: str = "127.0.0.1") -> None:
        super().__init__((host, 0), _Visitor)
        self.conduct = conduct
        self.models = models
        self.meta: dict[str, Any] = {}
        self.asked = self.looks = 0
        self.gateway: dict[str, Any] | None = None
        self.lives: threading.Event | None = threading.Event()
        self.lives.set()
        self.left = threading.Event()
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []

    @property
    def url(self) -> str:
        """Return where it is."""
        return f"http://{self.server_address[0]}:{self.server_address[1]}"


class _Visitor(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        node, connection = self.server, self.request
        assert isinstance(node, Node)
        assert isinstance(connection, socket.socket)
        try:
            path, headers, body = read_request(connection)
            if path == "/v1/models":
                if node.lives is not None:
                    node.lives.wait()
                entries = [{"id": name, "object": "model", "meta": node.meta} for name in node.models]
                listing = {"object": "list", "data": entries}
                send_document(connection, listing if node.gateway is None else {**listing, "gateway": node.gateway})
                return
            if path == "/livez":
                node.looks += 1
                if node.lives is not None:
                    node.lives.wait()
                    send_document(connection, {"detail": "Not Found"}, "404 Not Found")
                else:
                    node.conduct(node, connection, {})
                return
            node.asked += 1
            node.headers.append(headers)
            node.bodies.append(json.loads(body))
            node.conduct(node, connection, node.bodies[-1])
        except (OSError, ValueError):
            node.left.set()


def read_request(connection: socket.socket) -> tuple[str, dict[str, str], bytes]:
    """Read one request: its path, its headers in lower case, its body."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(65536)
        if not more:
            raise ValueError("the client hung up")
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    while len(body) < int(headers.get("content-length", 0)):
        body += connection.recv(65536)
    return first.split()[1], headers, body


def send_document(connection: socket.socket, document: object, status: str = "200 OK", more: str = "") -> None:
    """Send one JSON document, and what *more* headers there are, each with its end of line."""
    body = json.dumps(document).encode()
    head = f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\n{more}connection: close\r\n"
    connection.sendall(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)


def begin_stream(connection: socket.socket) -> None:
    """Send the head of a stream that ends with the connection."""
    connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n")


def chunk(text: str | None, finish: str | None = None) -> bytes:
    """Return an event with a piece of text."""
    delta = {} if text is None else {"content": text}
    document = {"id": "c", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}
    return b"data: " + json.dumps(document, ensure_ascii=False).encode() + b"\n\n"


def well(node: Node, connection: socket.socket, _: dict[str, Any]) -> None:
    """Answer as it should be."""
    begin_stream(connection)
    usage = {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": len(_WORDS)}}
    events = [*map(chunk, _WORDS), chunk(None, "stop"), b"data: " + json.dumps(usage).encode() + b"\n\n"]
    connection.sendall(b"".join(events) + b"data: [DONE]\n\n")


def hang(node: Node, connection: socket.socket, _: dict[str, Any]) -> None:
    """Say nothing until the client has left."""
    connection.recv(1)
    node.left.set()


def fail_fast(node: Node, connection: socket.socket, _: dict[str, Any]) -> None:
    """Fail at once."""
    send_document(connection, {"error": {"message": "no luck", "type": "server_error"}}, "500 Internal Server Error")


def busy(node: Node, connection: socket.socket, _: dict[str, Any]) -> None:
    """Have no time."""
    send_document(connection, {"error": {"message": "too many"}}, "429 Too Many Requests", "retry-after: 7\r\n")


def fail_after_two(node: Node, connection: socket.socket, _: dict[str, Any]) -> None:
    """Tell of an error after two pieces."""
    begin_stream(connection)
    failure = json.dumps({"error": {"message": "out of memory", "type": "server_error"}}).encode()
    connection.sendall(chunk("one ") + chunk("two ") + b"data: " + failure + b"\n\n")


def break_off(node: Node, connection: socket.socket, _: dict[str, Any]) -> None:
    """Reset the connection after one piece."""
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    piece = chunk("one ")
    connection.sendall(head + b"%x\r\n%b\r\n" % (len(piece), piece))
    time.sleep(0.05)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    connection.close()


def trickle(node: Node, connection: socket.socket, _: dict[str, Any]) -> None:
    """Answer as it should be, in pieces of a few bytes that break characters and lines."""
    begin_stream(connection)
    data = b"".join([*map(chunk, _WORDS), chunk(None, "stop"), b"data: [DONE]\n\n"]).replace(b"\n", b"\r\n")
    for start in range(0, len(data), 5):
        connection.sendall(data[start : start + 5])
        time.sleep(0.001)


def garbage(node: Node, connection: socket.socket, _: dict[str, Any]) -> None:
    """Send an event that is no JSON."""
    begin_stream(connection)
    connection.sendall(b"data: {this is not JSON]\n\n")


def no_http(node: Node, connection: socket.socket, _: dict[str, Any]) -> None:
    """Speak something else."""
    connection.sendall(b"\x00\x01\x02 220 smtp ready\r\n\r\n")


def half_a_character(node: Node, connection: socket.socket, _: dict[str, Any]) -> None:
    """End in the middle of a character."""
    begin_stream(connection)
    connection.sendall(chunk("one ") + chunk("thrée").partition(b"\xc3")[0] + b"\xc3")


def end_early(node: Node, connection: socket.socket, _: dict[str, Any]) -> None:
    """Just stop after two pieces, with neither finish nor [DONE]."""
    begin_stream(connection)
    connection.sendall(chunk("one ") + chunk("two "))


def no_done(node: Node, connection: socket.socket, _: dict[str, Any]) -> None:
    """Leave out [DONE] after an answer that is whole."""
    begin_stream(connection)
    connection.sendall(chunk("one ") + chunk("two ", "stop"))


@contextmanager
def a_node(conduct: Conduct = well, *models: str) -> Generator[Node]:
    """Run a server that does as *conduct* says with whatever it is asked of *models*."""
    with serving(Node(conduct, models or ("m",))) as node:
        yield node


@contextmanager
def serving(made: Node) -> Generator[Node]:
    """Run the server *made*."""
    with made as node:
        thread = threading.Thread(target=node.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield node
        finally:
            node.shutdown()
