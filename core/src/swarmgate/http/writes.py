"""One system call, and one packet, for what an answer writes in one go.

uvicorn writes a response's head and its first bytes one after the other, and each would go out on
its own.  Here what is written in one turn of the loop goes out together at its end.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class JoinedWrites:
    """A transport that keeps what is written until the loop's next turn; *soon* is its ``call_soon``.

    All else is the *transport*'s own affair.
    """

    def __init__(self, transport: Any, soon: Callable[[Callable[[], None]], object]) -> None:
        self._transport = transport
        self._soon = soon
        self._kept: list[bytes] = []

    def __repr__(self) -> str:
        return f"<JoinedWrites {sum(map(len, self._kept))} bytes kept>"

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Send *data* when this turn of the loop is over."""
        if not self._kept:
            self._soon(self.flush)
        self._kept.append(data)

    def flush(self) -> None:
        """Send what is kept."""
        kept, self._kept = self._kept, []
        if kept:
            self._transport.writelines(kept)

    def close(self) -> None:
        """Send what is kept, then close."""
        self.flush()
        self._transport.close()


class JoiningProtocol(HttpToolsProtocol):
    """HTTP/1.1 whose writes are joined."""

    def connection_made(self, transport: Any) -> None:
        """Answer on *transport* from now on."""
        super().connection_made(cast("Any", JoinedWrites(transport, self.loop.call_soon)))
