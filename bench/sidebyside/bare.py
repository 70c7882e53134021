"""The least an ASGI server can do for a stream: fixed events, nothing read, nothing decided."""

from __future__ import annotations

import sys
from typing import Any

import uvicorn

_PIECE = (
    b'data: {"id":"chatcmpl-0","object":"chat.completion.chunk","created":0,"model":"echo",'
    b'"choices":[{"index":0,"delta":{"content":"word "},"finish_reason":null}]}\n\n'
)


class BareApplication:
    """Streams the same number of events to whoever asks."""

    def __init__(self, pieces: int) -> None:
        self.pieces = pieces

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        while (await receive()).get("more_body"):
            pass
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
        for _ in range(self.pieces if scope["method"] == "POST" else 0):
            await send({"type": "http.response.body", "body": _PIECE, "more_body": True})
        await send({"type": "http.response.body", "body": b"data: [DONE]\n\n"})


if __name__ == "__main__":
    uvicorn.run(
        BareApplication(int(sys.argv[2])), port=int(sys.argv[1]), log_level="warning", access_log=False, lifespan="off"
    )
