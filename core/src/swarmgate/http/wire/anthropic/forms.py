"""Pieces of an answer, made into the events of a message or into one document."""

from __future__ import annotations

from typing import Literal, TypeVar

from swarmgate.chat import Delta, GenerateRequest, ToolCallDelta, Usage
from swarmgate.http.wire.anthropic.documents import (
    AnswerBlock,
    BlockDelta,
    BlockStart,
    BlockStop,
    InputDelta,
    MessageDelta,
    MessageDocument,
    MessageEnd,
    MessageStart,
    MessageStop,
    SignatureDelta,
    StopReason,
    TextBlock,
    TextDelta,
    ThinkingBlock,
    ThinkingDelta,
    ToolUseBlock,
    message_usage,
)
from swarmgate.http.wire.anthropic.thinking import signature
from swarmgate.http.wire.calls import CallsInTurn, WholeCalls, as_object
from swarmgate.http.wire.heading import Tally, encode

Display = Literal["shown", "omitted", "off"]
BlockT = TypeVar("BlockT", TextBlock, ThinkingBlock)


class MessageEvents:
    """Server-sent events: blocks one after the other, each begun, continued and ended.

    *display* says what becomes of thoughts: they are shown, or only signed, or left out.
    """

    def __init__(self, name: str, request: GenerateRequest, model: str, display: Display) -> None:
        """*name* is the message's id, *model* the name it was asked for by."""
        self._opening = MessageDocument(id=name, model=model, content=[], usage=message_usage(Usage()))
        self._request = request
        self._display = display
        self._tally = Tally(1, per_prompt=1)
        self._calls = CallsInTurn()
        self._calling: int | None = None
        self._call_block = 0
        self._begun = False
        self._block: Literal["text", "thinking", "call"] | None = None
        self._index = -1
        self._thoughts: list[str] = []
        self._text_front = b""

    @property
    def usage(self) -> Usage:
        """Return the tokens counted so far."""
        return self._tally.usage

    def take(self, choice: int, delta: Delta) -> bytes:
        """Return the events for a piece."""
        self._tally.take(choice, delta)
        if self._block == "text" and delta.text and not (delta.reasoning or delta.tool_calls or delta.finish):
            return self._text_front + encode(delta.text) + b"}}\n\n"
        reasoning = delta.reasoning if self._display != "off" else ""
        if not (reasoning or delta.text or delta.tool_calls or delta.finish):
            return b""
        events = [] if self._begun else [_event(MessageStart(message=self._opening))]
        self._begun = True
        if reasoning:
            events += self._think(reasoning)
        if delta.text:
            events += self._say(delta.text)
        for piece in self._calls.take(delta.tool_calls):
            events += self._call(piece)
        if delta.finish is not None:
            for piece in self._calls.close():
                events += self._call(piece)
            events += self._end(delta)
        return b"".join(events)

    def close(self) -> bytes:
        """Return the last event."""
        return _event(MessageStop())

    def _think(self, thoughts: str) -> list[bytes]:
        events = self._open("thinking", ThinkingBlock())
        self._thoughts.append(thoughts)
        if self._display == "shown":
            events.append(self._going_on(ThinkingDelta(thinking=thoughts)))
        return events

    def _say(self, text: str) -> list[bytes]:
        events = self._open("text", TextBlock())
        if events:
            self._text_front = _event(BlockDelta(index=self._index, delta=TextDelta(text=""))).removesuffix(b'""}}\n\n')
        return [*events, self._going_on(TextDelta(text=text))]

    def _call(self, piece: ToolCallDelta) -> list[bytes]:
        events: list[bytes] = []
        if piece.index != self._calling:
            block = ToolUseBlock(id=piece.id or "", name=piece.name or "", input={})
            events = [*self._stop(), *self._open("call", block)]
            self._calling, self._call_block = piece.index, self._index
        if piece.arguments:
            events.append(_event(BlockDelta(index=self._call_block, delta=InputDelta(partial_json=piece.arguments))))
        return events

    def _end(self, delta: Delta) -> list[bytes]:
        reason, met = stop_reason(delta, self._request, self.usage, called=self._calling is not None)
        end = MessageEnd(stop_reason=reason, stop_sequence=met)
        return [*self._stop(), _event(MessageDelta(delta=end, usage=message_usage(self.usage)))]

    def _open(self, kind: Literal["text", "thinking", "call"], block: AnswerBlock) -> list[bytes]:
        if self._block == kind:
            return []
        events = self._stop()
        self._index += 1
        self._block = kind
        return [*events, _event(BlockStart(index=self._index, content_block=block))]

    def _stop(self) -> list[bytes]:
        events: list[bytes] = []
        if self._block == "thinking":
            signed = signature("".join(self._thoughts), shown=self._display == "shown")
            events.append(self._going_on(SignatureDelta(signature=signed)))
            self._thoughts = []
        if self._block is not None:
            events.append(_event(BlockStop(index=self._index)))
        self._block = None
        return events

    def _going_on(self, delta: TextDelta | ThinkingDelta | SignatureDelta | InputDelta) -> bytes:
        return _event(BlockDelta(index=self._index, delta=delta))


class MessageWhole:
    """One document.  A call that was cut off is left out: there is nothing to be called with."""

    def __init__(self, name: str, request: GenerateRequest, model: str, display: Display) -> None:
        self._id = name
        self._request = request
        self._model = model
        self._display = display
        self._tally = Tally(1, per_prompt=1)
        self._calls = WholeCalls()
        self._called = False
        self._blocks: list[AnswerBlock] = []
        self._end = Delta(finish="stop")

    @property
    def usage(self) -> Usage:
        """Return the tokens counted so far."""
        return self._tally.usage

    def take(self, choice: int, delta: Delta) -> bytes:
        """Keep a piece; nothing is sent before all are there."""
        self._tally.take(choice, delta)
        if delta.reasoning and self._display != "off":
            self._last(ThinkingBlock).thinking += delta.reasoning
        if delta.text:
            self._last(TextBlock).text += delta.text
        calls = [*self._calls.take(delta.tool_calls)]
        if delta.finish is not None:
            calls += self._calls.close()
            self._end = delta
        for call in calls:
            self._called = True
            given = as_object(call.arguments)
            if given is not None:
                self._blocks.append(ToolUseBlock(id=call.id, name=call.name, input=given))
        return b""

    def close(self) -> bytes:
        """Return the document."""
        reason, met = stop_reason(self._end, self._request, self.usage, called=self._called)
        return encode(
            MessageDocument(
                id=self._id,
                model=self._model,
                content=[self._signed(block) for block in self._blocks],
                stop_reason=reason,
                stop_sequence=met,
                usage=message_usage(self.usage),
            )
        )

    def _signed(self, block: AnswerBlock) -> AnswerBlock:
        if not isinstance(block, ThinkingBlock):
            return block
        shown = self._display == "shown"
        return ThinkingBlock(thinking=block.thinking if shown else "", signature=signature(block.thinking, shown=shown))

    def _last(self, kind: type[BlockT]) -> BlockT:
        """Return the last block if it is of that *kind*, else a new one."""
        last = self._blocks[-1] if self._blocks else None
        if not isinstance(last, kind):
            last = kind()
            self._blocks.append(last)
        return last


def stop_reason(end: Delta, request: GenerateRequest, usage: Usage, *, called: bool) -> tuple[StopReason, str | None]:
    """Return why the answer to *request* ended, and the stop sequence that was met.

    Whoever writes *max_tokens* has more to say; whoever ends before them at the length has filled the context.
    """
    match end.finish:
        case "length" if request.max_tokens is not None and usage.completion_tokens < request.max_tokens:
            return "model_context_window_exceeded", None
        case "length":
            return "max_tokens", None
        case "content_filter":
            return "refusal", None
        case _ if called:
            return "tool_use", None
        case _ if end.stop:
            return "stop_sequence", end.stop
        case _:
            return "end_turn", None


def _event(document: object) -> bytes:
    data = encode(document)
    kind = data[len(b'{"type":"') : data.index(b'"', len(b'{"type":"'))]
    return b"event: %b\ndata: %b\n\n" % (kind, data)
