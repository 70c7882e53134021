"""A node that costs nothing: an OpenAI server that answers with fixed words.  ``mock_node.py PORT PIECES``."""

from __future__ import annotations

import asyncio
import json
import sys

_MODEL = "mock"


def answer(pieces: int) -> tuple[list[bytes], bytes]:
    """Return a streamed answer of *pieces* words, write by write, and the same in one document, each with its head."""

    def chunk(delta: dict[str, str], finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        head = {"id": "chatcmpl-0", "object": "chat.completion.chunk", "created": 0, "model": _MODEL}
        return b"data: " + json.dumps({**head, "choices": [choice]}).encode() + b"\n\n"

    usage = {"prompt_tokens": 8, "completion_tokens": pieces, "total_tokens": pieces + 8}
    counts = {"id": "chatcmpl-0", "object": "chat.completion.chunk", "created": 0, "model": _MODEL, "choices": []}
    events = [chunk({"role": "assistant", "content": ""}), *(chunk({"content": "word "}) for _ in range(pieces))]
    events += [chunk({}, "stop"), b"data: " + json.dumps({**counts, "usage": usage}).encode() + b"\n\n"]
    events.append(b"data: [DONE]\n\n")
    writes = [b"%x\r\n%b\r\n" % (len(event), event) for event in events]
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    message = {"role": "assistant", "content": "word " * pieces}
    document = {
        "id": "chatcmpl-0",
        "object": "chat.completion",
        "created": 0,
        "model": _MODEL,
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": usage,
    }
    return [head + writes[0], *writes[1:-1], writes[-1] + b"0\r\n\r\n"], response(document)


def response(document: object) -> bytes:
    """Return *document* as an HTTP response."""
    body = json.dumps(document).encode()
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)


class Node(asyncio.Protocol):
    """One connection: requests in, ready-made answers out."""

    def __init__(self, streamed: list[bytes], whole: bytes) -> None:
        self._streamed, self._whole = streamed, whole
        self._buffer = bytearray()
        self._last = False
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way back."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - for the type checker
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer every request that is complete."""
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = bytes(self._buffer[:end]).lower()
            length = 0
            for line in head.split(b"\r\n"):
                if line.startswith(b"content-length:"):
                    length = int(line.partition(b":")[2])
            if len(self._buffer) < end + 4 + length:
                return
            body = bytes(self._buffer[end + 4 : end + 4 + length])
            del self._buffer[: end + 4 + length]
            self._answer(head, body)

    def _answer(self, head: bytes, body: bytes) -> None:
        assert self._transport is not None  # noqa: S101 - for the type checker
        self._last = b"connection: close" in head
        if head.startswith(b"post"):
            streamed = b'"stream":true' in body.replace(b" ", b"")
            if streamed:
                self._say(0)
                return
            self._transport.write(self._whole)
        elif head.startswith((b"get /v1/models", b"head /v1/models")):
            card = {"id": _MODEL, "object": "model", "created": 0, "owned_by": "bench", "max_model_len": 8192}
            self._transport.write(response({"object": "list", "data": [card]}))
        else:  # what routers ask before they trust a node
            facts = {"status": "ok", "model_path": _MODEL, "served_model_name": _MODEL, "is_generation": True}
            self._transport.write(response(facts))
        if self._last:
            self._transport.close()

    def _say(self, number: int) -> None:
        """Write one event, and the next when the loop has come round: an engine has one token at a time."""
        assert self._transport is not None  # noqa: S101 - for the type checker
        if self._transport.is_closing():
            return
        self._transport.write(self._streamed[number])
        if number + 1 < len(self._streamed):
            asyncio.get_running_loop().call_soon(self._say, number + 1)
        elif self._last:
            self._transport.close()


async def main(port: int, pieces: int) -> None:
    """Serve on *port* of loopback until killed."""
    streamed, whole = answer(pieces)
    server = await asyncio.get_running_loop().create_server(lambda: Node(streamed, whole), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
