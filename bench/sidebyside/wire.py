"""Server-sent events of an OpenAI stream, read with as little work as possible.  Sans-I/O."""

from __future__ import annotations

import httptools
import msgspec


class _Delta(msgspec.Struct):
    content: str | None = None


class _Choice(msgspec.Struct):
    delta: _Delta = msgspec.field(default_factory=_Delta)
    finish_reason: str | None = None


class TokenUsage(msgspec.Struct):
    """Tokens of a request, as the server counts them."""

    prompt_tokens: int
    completion_tokens: int


class _Chunk(msgspec.Struct):
    choices: list[_Choice] = []
    usage: TokenUsage | None = None
    error: msgspec.Raw = msgspec.Raw()


class AnswerReader:
    """Fed with bytes from a socket, tells what they bring of one streamed chat answer."""

    def __init__(self) -> None:
        self.status = 0
        self.done = False
        self.usage: TokenUsage | None = None
        self.failure = ""
        self._pieces: list[str] = []
        self._rest = b""
        self._decoder = msgspec.json.Decoder(_Chunk)
        self._parser = httptools.HttpResponseParser(self)

    def feed(self, data: bytes) -> list[str]:
        """Take *data* in and return the pieces of text that are complete with it."""
        self._pieces = []
        self._parser.feed_data(data)
        return self._pieces

    def on_headers_complete(self) -> None:
        """Note the status; called by the parser."""
        self.status = self._parser.get_status_code()

    def on_body(self, body: bytes) -> None:
        """Cut the body into events; called by the parser."""
        if self.status != 200:  # noqa: PLR2004 - the one good status
            self.failure += body.decode(errors="replace")
            return
        *events, self._rest = (self._rest + body).split(b"\n\n")
        for event in events:
            if event.startswith(b"data: "):
                self._event(event[6:])

    def on_message_complete(self) -> None:
        """Note the end; called by the parser."""
        self.done = True

    def _event(self, data: bytes) -> None:
        if data == b"[DONE]":
            return
        chunk = self._decoder.decode(data)
        if chunk.error:
            self.failure = bytes(chunk.error).decode()
        if chunk.usage is not None:
            self.usage = chunk.usage
        for choice in chunk.choices:
            if choice.delta.content:
                self._pieces.append(choice.delta.content)
