"""An ASGI client for tests: it sends one request, hears the messages, and may hang up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import anyio
import msgspec


@dataclass
class Visitor:
    """One request to an application, and what came of it.

    *messages* are the ASGI messages in order, *asked* is how often the application wanted to hear one.
    Call :meth:`hang_up` to go away before the end.
    """

    path: str = "/v1/chat/completions"
    method: str = "POST"
    body: Sequence[bytes] = (b"",)
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    query: str = ""
    messages: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    asked: int = 0

    def __post_init__(self) -> None:
        self._parts = list(self.body)
        self._gone = anyio.Event()
        self._news = anyio.Event()

    async def visit(self, app: Any) -> Visitor:
        """Have *app* answer; return when it is done."""
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "method": self.method,
            "scheme": "http",
            "path": self.path,
            "raw_path": self.path.encode(),
            "query_string": self.query.encode(),
            "root_path": "",
            "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in self.headers.items()],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 2),
            "state": {},
        }
        await app(scope, self._receive, self._send)
        return self

    def hang_up(self) -> None:
        """Go away."""
        self._gone.set()

    async def until(self, text: str) -> None:
        """Wait until *text* has come."""
        while text.encode() not in self.content:
            await self._news.wait()

    @property
    def unread(self) -> int:
        """Return how many parts of the body nobody asked for."""
        return len(self._parts)

    @property
    def status(self) -> int:
        """Return the status, 0 if there is none."""
        return next((message["status"] for message in self.messages if message["type"] == "http.response.start"), 0)

    @property
    def answered(self) -> dict[str, str]:
        """Return the headers of the response."""
        start = next(message for message in self.messages if message["type"] == "http.response.start")
        return {name.decode(): value.decode("latin-1") for name, value in start["headers"]}

    @property
    def content(self) -> bytes:
        """Return the body so far."""
        return b"".join(message.get("body", b"") for message in self.messages)

    @property
    def json(self) -> Any:
        """Return the body as JSON."""
        return msgspec.json.decode(self.content)

    @property
    def events(self) -> list[Any]:
        """Return the events of a stream that are JSON."""
        lines = [line.removeprefix(b"data: ") for line in self.content.split(b"\n\n") if line.startswith(b"data: {")]
        return [msgspec.json.decode(line) for line in lines]

    @property
    def complete(self) -> bool:
        """Return whether the response has ended as it should."""
        return bool(self.messages) and not self.messages[-1].get("more_body", True)

    async def _receive(self) -> dict[str, Any]:
        self.asked += 1
        if self._parts:
            part = self._parts.pop(0)
            return {"type": "http.request", "body": part, "more_body": bool(self._parts)}
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: dict[str, Any]) -> None:
        self.messages.append(message)
        if message["type"] == "http.response.body" and not message.get("more_body", False):
            self._gone.set()  # as the specification has it: after the response there is only a disconnect to receive
        self._news.set()
        self._news = anyio.Event()
        await anyio.lowlevel.checkpoint()
