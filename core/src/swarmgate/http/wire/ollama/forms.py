"""Pieces of an answer, made into lines of JSON or into one document."""

from __future__ import annotations

from typing import Protocol

from msgspec import UNSET

from swarmgate.chat import Delta, FunctionCall, TokenLogprob, Usage
from swarmgate.http.wire.calls import WholeCalls, as_object
from swarmgate.http.wire.heading import Tally, encode
from swarmgate.http.wire.ollama.documents import (
    CallDocument,
    CalledFunctionDocument,
    ChatLine,
    DoneReason,
    GenerateLine,
    Line,
    SaidMessage,
    logprob_documents,
)
from swarmgate.http.wire.ollama.timing import Course

_NOTHING: tuple[TokenLogprob, ...] = ()


class Said(Protocol):
    """Makes a line of what is said between two lines."""

    def __call__(self, model: str, at: str, text: str, thoughts: str, calls: list[CallDocument], *, done: bool) -> Line:
        """Return the line."""
        ...


def chat_line(model: str, at: str, text: str, thoughts: str, calls: list[CallDocument], *, done: bool) -> Line:
    """Return a line of a chat."""
    said = SaidMessage(content=text, thinking=thoughts or UNSET, tool_calls=calls or UNSET)
    return ChatLine(model=model, created_at=at, message=said, done=done)


def generate_line(model: str, at: str, text: str, thoughts: str, calls: list[CallDocument], *, done: bool) -> Line:
    """Return a line of a text, in which there are no calls."""
    return GenerateLine(model=model, created_at=at, response=text, thinking=thoughts or UNSET, done=done)


class Lines:
    """The answer as lines of JSON, each made by *said*; or unless it *streams* as one document.

    Calls come when they are complete.  One that was cut off is text: there is nothing to be called with.  Without
    *thinks* thoughts are left out.
    """

    def __init__(self, said: Said, model: str, course: Course, *, streams: bool, thinks: bool = True) -> None:
        self._said, self._model, self._course = said, model, course
        self._streams, self._thinks = streams, thinks
        self._tally = Tally(1, per_prompt=1)
        self._calls = WholeCalls()
        self._called = 0
        self._text: list[str] = []
        self._thoughts: list[str] = []
        self._ready: list[CallDocument] = []
        self._logprobs = _NOTHING
        self._reason: DoneReason = "stop"

    @property
    def usage(self) -> Usage:
        """Return the tokens counted so far."""
        return self._tally.usage

    def take(self, choice: int, delta: Delta) -> bytes:
        """Return the line for a piece, if this is a stream and something is said."""
        self._tally.take(choice, delta)
        self._note(delta)
        if not (self._text or self._thoughts or self._ready or self._logprobs):
            return b""
        self._course.speaks()
        return encode(self._line(done=False)) + b"\n" if self._streams else b""

    def close(self) -> bytes:
        """Return the last line, with the counts; or the document."""
        line = self._line(done=True)
        usage, took = self.usage, self._course.durations()
        line.done_reason = self._reason
        line.total_duration, line.load_duration = took.total, 0
        line.prompt_eval_count, line.prompt_eval_duration = usage.prompt_tokens, took.prompt
        line.eval_count, line.eval_duration = usage.completion_tokens, took.answer
        return encode(line) + (b"\n" if self._streams else b"")

    def _note(self, delta: Delta) -> None:
        if delta.text:
            self._text.append(delta.text)
        if delta.reasoning and self._thinks:
            self._thoughts.append(delta.reasoning)
        self._logprobs += delta.logprobs
        calls = [*self._calls.take(delta.tool_calls)]
        if delta.finish is not None:
            calls += self._calls.close()
            self._reason = "length" if delta.finish == "length" else "stop"
        for call in calls:
            self._take_call(call)

    def _take_call(self, call: FunctionCall) -> None:
        arguments = as_object(call.arguments)
        if arguments is None:
            self._text.append(call.arguments)
            return
        function = CalledFunctionDocument(index=self._called, name=call.name, arguments=arguments)
        self._ready.append(CallDocument(id=call.id, function=function))
        self._called += 1

    def _line(self, *, done: bool) -> Line:
        text, thoughts = "".join(self._text), "".join(self._thoughts)
        line = self._said(self._model, self._course.now(), text, thoughts, self._ready, done=done)
        if self._logprobs:
            line.logprobs = logprob_documents(self._logprobs)
        self._text, self._thoughts, self._ready, self._logprobs = [], [], [], _NOTHING
        return line


def nothing_to_say(said: Said, model: str, at: str, *, streams: bool) -> bytes:
    """Return the answer to a request that only wants the model to be loaded."""
    line = said(model, at, "", "", [], done=True)
    line.done_reason = "load"
    return encode(line) + (b"\n" if streams else b"")
