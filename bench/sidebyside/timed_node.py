"""A node that takes its time as a machine would, in real time: an OpenAI server.  ``timed_node.py PORT SPEED``.

It behaves as ``bench/virtual/nodes.py`` does in virtual time, ten times as fast: prompts are read one after the other,
in the order of their coming and only what is not held from earlier ones; answers are written side by side, one in each
slot, each further one slowing all of them.  ``GET /counts`` tells what it was asked.  Beside chats it answers what a
vLLM of default options does and routers ask for: how busy it is, its version, and which tokens a prompt has.
"""

from __future__ import annotations

import asyncio
import json
import sys
import zlib
from collections import OrderedDict
from collections.abc import AsyncGenerator
from typing import Any

#: Tokens a second that a machine of speed 1 reads and writes.
READS, WRITES = 5000.0, 200.0
#: Answers that are written at once, and by what share each further one slows all.
SLOTS, SLOPE = 4, 0.15
#: Tokens that are held, whatever the speed, and tokens of a block, the unit of holding.
MEMORY, BLOCK = 16_384, 16
#: Characters of a token, and tokens of an answer that come at once.
CHARACTERS, CHUNK = 4, 8
_MODEL = "mock"
_CARD = {"id": _MODEL, "object": "model", "created": 0, "owned_by": "vllm", "max_model_len": 8192}
_VERSION = "0.18.2"


class Cache:
    """Beginnings of prompts in whole blocks; what was used longest ago goes first, the ends before the beginnings."""

    def __init__(self, tokens: int = MEMORY) -> None:
        self._most = tokens // BLOCK
        self._blocks: OrderedDict[int, None] = OrderedDict()

    def take(self, text: str) -> int:
        """Return how many tokens of *text* were held, and hold it."""
        size = BLOCK * CHARACTERS
        chain, held, broken = 0, 0, False
        names: list[int] = []
        for begin in range(0, len(text) - size + 1, size):
            chain = hash((chain, text[begin : begin + size]))
            broken = broken or chain not in self._blocks
            held += 0 if broken else BLOCK
            names.append(chain)
        for name in reversed(names):
            self._blocks[name] = None
            self._blocks.move_to_end(name)
        while len(self._blocks) > self._most:
            self._blocks.popitem(last=False)
        return held


class Engine:
    """What takes time.  Every wait is until a moment that is counted on from the last, so lateness does not add up."""

    def __init__(self, speed: float) -> None:
        self._reads, self._writes = READS * speed, WRITES * speed
        self._slots, self._reader = asyncio.Semaphore(SLOTS), asyncio.Lock()
        self._cache = Cache()
        self._free = 0.0
        self._writing = 0
        self._present = 0
        self.counts = {"asked": 0, "prompt_tokens": 0, "held_tokens": 0}

    async def answer(self, text: str, wanted: int) -> AsyncGenerator[int]:
        """Yield how many tokens more are written, until there are *wanted* ones."""
        self.counts["asked"] += 1
        self._present += 1
        try:
            async with self._slots:
                moment = await self._read(text)
                self._writing += 1
                try:
                    done = 0
                    while done < wanted:
                        tokens = min(CHUNK, wanted - done) if done else 1
                        moment += tokens / self._writes * (1.0 + SLOPE * (self._writing - 1))
                        await _until(moment)
                        done += tokens
                        yield tokens
                finally:
                    self._writing -= 1
        finally:
            self._present -= 1

    def metrics(self) -> str:
        """Return how busy it is, in vLLM's words for Prometheus."""
        running = min(self._present, SLOTS)
        figures = {"num_requests_running": running, "num_requests_waiting": self._present - running}
        return "".join(
            f'# TYPE vllm:{name} gauge\nvllm:{name}{{engine="0",model_name="{_MODEL}"}} {float(value)}\n'
            for name, value in figures.items()
        )

    async def _read(self, text: str) -> float:
        """Read what is not held; return the moment at which that is done."""
        came = asyncio.get_running_loop().time()
        async with self._reader:
            tokens = len(text) // CHARACTERS
            held = self._cache.take(text)
            self.counts["prompt_tokens"] += tokens
            self.counts["held_tokens"] += held
            self._free = max(came, self._free) + (tokens - held) / self._reads
            moment = self._free
            await _until(moment)
        return moment


async def _until(moment: float) -> None:
    await asyncio.sleep(max(0.0, moment - asyncio.get_running_loop().time()))


def prompt(asked: dict[str, Any]) -> str:
    """Return the text of the messages of a chat."""
    said: list[str] = []
    for message in asked["messages"]:
        content = message.get("content") or ""
        if not isinstance(content, str):
            content = "".join(part.get("text", "") for part in content)
        said.append(content)
    return "".join(said)


def tokens(asked: dict[str, Any]) -> dict[str, Any]:
    """Return the tokens of a prompt or of the messages of a chat, as vLLM's ``/tokenize`` does."""
    text = prompt(asked) if "messages" in asked else str(asked["prompt"])
    pieces = [text[begin : begin + CHARACTERS] for begin in range(0, len(text), CHARACTERS)]
    named = [zlib.crc32(piece.encode()) >> 8 for piece in pieces]
    return {"count": len(named), "max_model_len": _CARD["max_model_len"], "tokens": named, "token_strs": None}


def document(status: str, body: object) -> bytes:
    """Return *body* as an HTTP response in JSON."""
    return response(status, "application/json", json.dumps(body))


def response(status: str, kind: str, text: str) -> bytes:
    """Return *text* as an HTTP response."""
    body = text.encode()
    head = f"HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


def event(delta: dict[str, str] | None, finish: str | None = None, usage: dict[str, int] | None = None) -> bytes:
    """Return a chunk of a stream as one of HTTP's."""
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
    head = {"id": "chatcmpl-0", "object": "chat.completion.chunk", "created": 0, "model": _MODEL}
    more = {} if usage is None else {"usage": usage}
    return _framed(b"data: " + json.dumps({**head, "choices": choices, **more}).encode() + b"\n\n")


def _framed(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


async def chat(engine: Engine, body: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer one chat; stop when nobody listens any more."""
    asked: dict[str, Any] = json.loads(body)
    text = prompt(asked)
    wanted = int(asked.get("max_completion_tokens") or asked.get("max_tokens") or 16)
    read = len(text) // CHARACTERS
    usage = {"prompt_tokens": read, "completion_tokens": wanted, "total_tokens": read + wanted}
    streamed, told = bool(asked.get("stream")), bool((asked.get("stream_options") or {}).get("include_usage"))
    answer = engine.answer(text, wanted)
    begun = False
    try:
        async for count in answer:
            if reader.at_eof() or writer.is_closing():
                return
            if streamed:
                if not begun:
                    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
                    writer.write(head + event({"role": "assistant", "content": ""}))
                    begun = True
                writer.write(event({"content": "wor " * count}))
    finally:
        await answer.aclose()
    if streamed:
        last = event(None, usage=usage) if told else b""
        writer.write(event({}, "stop") + last + _framed(b"data: [DONE]\n\n") + b"0\r\n\r\n")
        return
    choice = {"index": 0, "message": {"role": "assistant", "content": "wor " * wanted}, "finish_reason": "stop"}
    head = {"id": "chatcmpl-0", "object": "chat.completion", "created": 0, "model": _MODEL}
    writer.write(document("200 OK", {**head, "choices": [choice], "usage": usage}))


def told(engine: Engine, request: str, path: str, body: bytes) -> bytes:
    """Return the answer to what is no chat."""
    if path == "/metrics":
        return response("200 OK", "text/plain; version=0.0.4; charset=utf-8", engine.metrics())
    if path == "/tokenize":
        return document("200 OK", tokens(json.loads(body)))
    known: dict[str, Any] = {
        "/v1/models": {"object": "list", "data": [_CARD]},
        "/counts": engine.counts,
        "/version": {"version": _VERSION},
        "/health": {},
    }
    if path in known:
        return document("200 OK", known[path])
    print(f"not here: {request}", file=sys.stderr, flush=True)
    return document("404 Not Found", {"error": {"message": f"no {path}", "code": 404}})


async def serve(engine: Engine, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer what comes on one connection, until it ends."""
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            request, *fields = head.decode("latin-1").split("\r\n")
            lengths = [field.partition(":")[2] for field in fields if field.lower().startswith("content-length:")]
            body = await reader.readexactly(int(lengths[0]) if lengths else 0)
            method, path = request.split(" ")[:2]
            if method == "POST" and path == "/v1/chat/completions":
                await chat(engine, body, reader, writer)
            else:
                writer.write(told(engine, request, path, body))
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass  # whoever asked is gone
    finally:
        writer.close()


async def main(port: int, speed: float) -> None:
    """Serve on *port* of loopback until killed."""
    engine = Engine(speed)
    server = await asyncio.start_server(lambda reader, writer: serve(engine, reader, writer), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), float(sys.argv[2])))
