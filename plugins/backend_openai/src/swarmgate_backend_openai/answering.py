"""The events of a streamed answer into deltas; pure.

OpenAI's stream says the finish in one event and the usage in the next: here they come together, in
the last delta.
"""

from __future__ import annotations

from typing import Any

import msgspec
from swarmgate.api import Delta, EngineError, Finish, TokenLogprob, ToolCallDelta, Usage

from swarmgate_backend_openai.faults import told

_DONE = b"[DONE]"
_FINISHES: dict[str, Finish] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
}
_SHOWN = 80


class _Function(msgspec.Struct):
    name: str | None = None
    arguments: str | None = None


class _Call(msgspec.Struct):
    index: int = 0
    id: str | None = None
    function: _Function | None = None


class _Top(msgspec.Struct):
    token: str
    logprob: float
    bytes: list[int] | None = None


class _Logprob(_Top):
    top_logprobs: list[_Top] | None = None


class _Logprobs(msgspec.Struct):
    """Both forms: *content* is the chat's, the rest the completion's."""

    content: list[_Logprob] | None = None
    tokens: list[str] | None = None
    token_logprobs: list[float | None] | None = None
    top_logprobs: list[dict[str, float] | None] | None = None


class _Message(msgspec.Struct):
    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    tool_calls: list[_Call] | None = None


class _Choice(msgspec.Struct):
    index: int = 0
    delta: _Message | None = None
    text: str | None = None
    logprobs: _Logprobs | None = None
    finish_reason: str | None = None
    stop_reason: Any = None  # vLLM's: the stop string that was met, or a token's id


class _Details(msgspec.Struct):
    cached_tokens: int | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int = 0
    completion_tokens: int = 0
    prompt_tokens_details: _Details | None = None


class _Told(msgspec.Struct):
    token_ids: list[int] = []
    seed: int | None = None
    stop: str = ""


class _Chunk(msgspec.Struct):
    choices: list[_Choice] | None = None
    usage: _Usage | None = None
    gateway: _Told | None = None
    error: Any = None


#: Made once: there is an event for every token.
_decode = msgspec.json.Decoder(_Chunk).decode
_NO_CHOICE, _NO_MESSAGE, _NO_TOKENS, _NO_NEWS = _Choice(), _Message(), _Told(), Delta()


class AnswerReader:
    """Reads one answer of the server *who*."""

    def __init__(self, who: str) -> None:
        self._who = who
        self._finish: Finish | None = None
        self._stop = ""
        self._usage: Usage | None = None
        self._pieces = 0
        self.done = False

    def __repr__(self) -> str:
        return f"<AnswerReader of {self._who}, {self._pieces} pieces>"

    def take(self, data: bytes) -> Delta | None:
        """Return what the event with *data* brings, None if that is nothing.

        Raises:
            EngineError: the event is garbage, or tells of an error of the server.
            RequestError: it tells of an error of the request.
            Unavailable: it tells that the server cannot go on now.

        """
        if self.done:
            return None
        if data.strip() == _DONE:
            return self.end()
        try:
            chunk = _decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            found = data[:_SHOWN].decode("utf-8", "replace")
            raise EngineError(f"{self._who} sent garbage in an answer: {error}: {found!r}") from None
        if chunk.error is not None:
            raise told(self._who, chunk.error)
        if chunk.usage is not None:
            details = chunk.usage.prompt_tokens_details
            self._usage = Usage(
                prompt_tokens=max(chunk.usage.prompt_tokens, 0),
                completion_tokens=max(chunk.usage.completion_tokens, 0),
                cached_tokens=max((details.cached_tokens if details else None) or 0, 0),
            )
        choice = _NO_CHOICE
        for each in chunk.choices or ():
            if each.index == 0:
                choice = each
                break
        tokens = chunk.gateway or _NO_TOKENS
        if choice.finish_reason is not None:
            self._finish = _FINISHES.get(choice.finish_reason, "stop")
        self._stop = _met(choice, tokens) or self._stop
        delta = _delta(choice, tokens)
        if delta == _NO_NEWS:
            return None
        self._pieces += len(delta.token_ids) or bool(delta.text or delta.reasoning or delta.tool_calls)
        return delta

    def end(self) -> Delta:
        """Return the last delta, when the stream is over.

        Raises:
            EngineError: the answer is not.

        """
        if self._finish is None:
            raise EngineError(f"{self._who} ended its answer before it was finished")
        self.done = True
        stop = self._stop if self._finish == "stop" else ""
        return Delta(finish=self._finish, stop=stop, usage=self._usage or Usage(completion_tokens=self._pieces))


def _delta(choice: _Choice, tokens: _Told) -> Delta:
    message = choice.delta or _NO_MESSAGE
    return Delta(
        text=message.content or choice.text or "",
        reasoning=message.reasoning_content or message.reasoning or "",
        token_ids=tuple(tokens.token_ids),
        tool_calls=tuple(map(_call, message.tool_calls)) if message.tool_calls else (),
        logprobs=_logprobs(choice.logprobs) if choice.logprobs is not None else (),
        seed=tokens.seed,
    )


def _met(choice: _Choice, tokens: _Told) -> str:
    """Return the stop string that is said to have been met, by a gateway or by vLLM; empty if none is."""
    return tokens.stop or (choice.stop_reason if isinstance(choice.stop_reason, str) else "")


def _call(call: _Call) -> ToolCallDelta:
    function = call.function or _Function()
    return ToolCallDelta(
        index=call.index, id=call.id or None, name=function.name or None, arguments=function.arguments or ""
    )


def _logprobs(found: _Logprobs) -> tuple[TokenLogprob, ...]:
    if found.content is not None:
        return tuple(
            TokenLogprob(
                id=_UNKNOWN,
                data=_bytes(entry),
                logprob=entry.logprob,
                top=tuple(
                    TokenLogprob(id=_UNKNOWN, data=_bytes(top), logprob=top.logprob) for top in entry.top_logprobs or ()
                ),
            )
            for entry in found.content
        )
    tokens, logprobs = found.tokens or (), found.token_logprobs or ()
    tops = found.top_logprobs or [None] * len(tokens)
    return tuple(
        TokenLogprob(
            id=_UNKNOWN,
            data=token.encode(),
            logprob=logprob or 0.0,
            top=tuple(
                TokenLogprob(id=_UNKNOWN, data=text.encode(), logprob=value) for text, value in (top or {}).items()
            ),
        )
        for token, logprob, top in zip(tokens, logprobs, tops, strict=False)
    )


def _bytes(entry: _Top) -> bytes:
    try:
        return bytes(entry.bytes) if entry.bytes is not None else entry.token.encode()
    except ValueError:  # numbers that are no bytes
        return entry.token.encode()


#: OpenAI's form tells a token's text, and not its number.
_UNKNOWN = -1
