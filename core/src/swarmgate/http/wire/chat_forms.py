"""Pieces of a chat's answers, made into server-sent events or into one document."""

from __future__ import annotations

from msgspec import UNSET

from swarmgate.chat import Delta, TokenLogprob, ToolCallDelta, Usage
from swarmgate.http.wire.chat_documents import (
    AnswerMessage,
    ChatChoice,
    ChatCompletion,
    ChatFinish,
    ChatFragment,
    FunctionFragment,
    ToolCallDocument,
    ToolCallFragment,
    WrittenFunction,
    chat_logprobs,
)
from swarmgate.http.wire.heading import DONE, Heading, Tally, encode, usage_document


class ChatChunks:
    """Server-sent events.  What never changes in a stream is encoded once, at the start.

    *legacy* calls functions the way it was done before tools.
    """

    def __init__(self, heading: Heading, *, choices: int, include_usage: bool, legacy: bool) -> None:
        opening = heading.opening("chat.completion.chunk")
        self._tally = Tally(choices, per_prompt=choices)
        self._fronts = [opening + b'{"index":%d,"delta":' % choice for choice in range(choices)]
        self._texts = [front + b'{"content":' for front in self._fronts]
        self._close = b"]%b}\n\n" % (b',"usage":null' if include_usage else b"")
        self._plain = b',"logprobs":null,"finish_reason":null}' + self._close
        self._after_text = b"}" + self._plain
        self._last = opening + b'],"usage":' if include_usage else b""
        self._begun = [False] * choices
        self._legacy = legacy

    @property
    def usage(self) -> Usage:
        """Return the tokens counted so far."""
        return self._tally.usage

    def take(self, choice: int, delta: Delta) -> bytes:
        """Return the events for a piece: none, one, or two if it is the last and has text."""
        self._tally.take(choice, delta)
        if self._begun[choice] and delta.text and not (delta.reasoning or delta.tool_calls or delta.logprobs):
            events = self._texts[choice] + encode(delta.text) + self._after_text
        else:
            events = self._fragment(choice, delta)
        if delta.finish is not None:
            reason = _finish(delta.finish, legacy=self._legacy)
            events += self._fronts[choice] + b'{},"logprobs":null,"finish_reason":%b}' % encode(reason) + self._close
        return events

    def close(self) -> bytes:
        """Return the counts, if they were asked for, and the end of the stream."""
        if not self._last:
            return DONE
        return self._last + encode(usage_document(self.usage)) + b"}\n\n" + DONE

    def _fragment(self, choice: int, delta: Delta) -> bytes:
        news = delta.text or delta.reasoning or delta.tool_calls or delta.logprobs
        if not news and (self._begun[choice] or delta.finish is None):
            return b""
        fragment = ChatFragment()
        if not self._begun[choice]:
            self._begun[choice] = True
            fragment.role = "assistant"
            fragment.content = None if delta.tool_calls or delta.reasoning else ""
        if delta.text:
            fragment.content = delta.text
        if delta.reasoning:
            fragment.reasoning_content = delta.reasoning
        if delta.tool_calls and self._legacy:
            fragment.function_call = _function_fragment(delta.tool_calls)
        elif delta.tool_calls:
            fragment.tool_calls = [_call_fragment(call) for call in delta.tool_calls]
        if not delta.logprobs:
            return self._fronts[choice] + encode(fragment) + self._plain
        logprobs = encode(chat_logprobs(delta.logprobs))
        tail = b',"logprobs":%b,"finish_reason":null}' % logprobs
        return self._fronts[choice] + encode(fragment) + tail + self._close


class ChatDocument:
    """One ``chat.completion`` document."""

    def __init__(self, heading: Heading, *, choices: int, legacy: bool) -> None:
        self._heading = heading
        self._tally = Tally(choices, per_prompt=choices)
        self._choices = [_Written(legacy=legacy) for _ in range(choices)]

    @property
    def usage(self) -> Usage:
        """Return the tokens counted so far."""
        return self._tally.usage

    def take(self, choice: int, delta: Delta) -> bytes:
        """Keep a piece; nothing is sent before all are there."""
        self._tally.take(choice, delta)
        self._choices[choice].take(delta)
        return b""

    def close(self) -> bytes:
        """Return the document."""
        heading = self._heading
        return encode(
            ChatCompletion(
                id=heading.id,
                created=heading.created,
                model=heading.model,
                system_fingerprint=heading.system_fingerprint,
                choices=[written.choice(index) for index, written in enumerate(self._choices)],
                usage=usage_document(self.usage),
            )
        )


class _Written:
    """What has been written of one choice."""

    def __init__(self, *, legacy: bool) -> None:
        self._legacy = legacy
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._calls: dict[int, ToolCallDocument] = {}
        self._logprobs: list[TokenLogprob] = []
        self._finish: ChatFinish = "stop"

    def take(self, delta: Delta) -> None:
        self._text.append(delta.text)
        self._reasoning.append(delta.reasoning)
        self._logprobs += delta.logprobs
        for piece in delta.tool_calls:
            call = self._calls.get(piece.index)
            if call is None:
                function = WrittenFunction(name=piece.name or "", arguments="")
                call = self._calls[piece.index] = ToolCallDocument(id=piece.id or "", function=function)
            call.function.arguments += piece.arguments
        if delta.finish is not None:
            self._finish = _finish(delta.finish, legacy=self._legacy)

    def choice(self, index: int) -> ChatChoice:
        text = "".join(self._text)
        message = AnswerMessage(content=text or (None if self._calls else ""))
        message.reasoning_content = "".join(self._reasoning) or UNSET
        calls = [self._calls[number] for number in sorted(self._calls)]
        if calls and self._legacy:
            message.function_call = calls[0].function
        elif calls:
            message.tool_calls = calls
        return ChatChoice(
            index=index, message=message, logprobs=chat_logprobs(self._logprobs), finish_reason=self._finish
        )


def _finish(finish: ChatFinish, *, legacy: bool) -> ChatFinish:
    return "function_call" if legacy and finish == "tool_calls" else finish


def _call_fragment(call: ToolCallDelta) -> ToolCallFragment:
    if call.id is None and call.name is None:
        return ToolCallFragment(index=call.index, function=FunctionFragment(arguments=call.arguments))
    return ToolCallFragment(
        index=call.index,
        id=call.id or "",
        type="function",
        function=FunctionFragment(name=call.name or "", arguments=call.arguments),
    )


def _function_fragment(calls: tuple[ToolCallDelta, ...]) -> FunctionFragment:
    """Return the pieces of the first call: before tools there was but one."""
    first = [call for call in calls if call.index == 0]
    name = next((call.name for call in first if call.name), None)
    arguments = "".join(call.arguments for call in first)
    return FunctionFragment(name=name if name is not None else UNSET, arguments=arguments)
