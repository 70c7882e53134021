"""The shapes of ``chat.completion``, as they are sent and as the OpenAPI document describes them."""

from __future__ import annotations

from typing import Literal

from msgspec import UNSET, Struct, UnsetType

from swarmgate.chat import TokenLogprob
from swarmgate.http.wire.heading import UsageDocument

ChatFinish = Literal["stop", "length", "tool_calls", "content_filter", "function_call"]
#: What JSON has instead of minus infinity.
_LOWEST = -9999.0


class TopLogprob(Struct, kw_only=True):
    """A token that might have been, and its natural-log probability."""

    token: str
    logprob: float
    bytes: list[int]


class TokenLogprobDocument(Struct, kw_only=True):
    """A token of the answer, its natural-log probability, and the likeliest tokens there."""

    token: str
    logprob: float
    bytes: list[int]
    top_logprobs: list[TopLogprob]


class ChatLogprobs(Struct, kw_only=True):
    """One entry for each token of the content."""

    content: list[TokenLogprobDocument]
    refusal: None = None


class WrittenFunction(Struct, kw_only=True):
    """The function the model calls; *arguments* is the JSON text it wrote."""

    name: str
    arguments: str


class ToolCallDocument(Struct, kw_only=True):
    """A call the model makes."""

    id: str
    type: Literal["function"] = "function"
    function: WrittenFunction


class AnswerMessage(Struct, kw_only=True):
    """The message the model wrote; *content* is null where it only calls tools."""

    role: Literal["assistant"] = "assistant"
    content: str | None
    refusal: None = None
    reasoning_content: str | UnsetType = UNSET
    tool_calls: list[ToolCallDocument] | UnsetType = UNSET
    function_call: WrittenFunction | UnsetType = UNSET


class ChatChoice(Struct, kw_only=True):
    """One of *n* answers."""

    index: int
    message: AnswerMessage
    logprobs: ChatLogprobs | None
    finish_reason: ChatFinish


class ChatCompletion(Struct, kw_only=True):
    """A whole answer to a chat."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[ChatChoice]
    usage: UsageDocument
    system_fingerprint: str | None = None


class FunctionFragment(Struct, kw_only=True):
    """A name, or a piece of the arguments."""

    name: str | UnsetType = UNSET
    arguments: str | UnsetType = UNSET


class ToolCallFragment(Struct, kw_only=True):
    """A piece of a call; the first of an *index* has its *id* and name."""

    index: int
    function: FunctionFragment
    id: str | UnsetType = UNSET
    type: Literal["function"] | UnsetType = UNSET


class ChatFragment(Struct, kw_only=True):
    """What a chunk adds to the message; the first has the role, the last nothing."""

    role: Literal["assistant"] | UnsetType = UNSET
    content: str | UnsetType | None = UNSET
    reasoning_content: str | UnsetType = UNSET
    tool_calls: list[ToolCallFragment] | UnsetType = UNSET
    function_call: FunctionFragment | UnsetType = UNSET


class ChatChunkChoice(Struct, kw_only=True):
    """A piece of the answer of that *index*."""

    index: int
    delta: ChatFragment
    logprobs: ChatLogprobs | None
    finish_reason: ChatFinish | None


class ChatCompletionChunk(Struct, kw_only=True):
    """One server-sent event of a streamed answer; *usage* only where it was asked for."""

    id: str
    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"
    created: int
    model: str
    choices: list[ChatChunkChoice]
    system_fingerprint: str | None = None
    usage: UsageDocument | UnsetType | None = UNSET


def chat_logprobs(entries: tuple[TokenLogprob, ...] | list[TokenLogprob]) -> ChatLogprobs | None:
    """Return *entries* in the chat's form, None if there are none."""
    if not entries:
        return None
    return ChatLogprobs(
        content=[
            TokenLogprobDocument(
                token=spoken(entry.data),
                logprob=finite(entry.logprob),
                bytes=list(entry.data),
                top_logprobs=[
                    TopLogprob(token=spoken(top.data), logprob=finite(top.logprob), bytes=list(top.data))
                    for top in entry.top
                ],
            )
            for entry in entries
        ]
    )


def spoken(data: bytes) -> str:
    """Return *data* as text; half a character becomes a replacement character."""
    return data.decode("utf-8", "replace")


def finite(logprob: float) -> float:
    """Return *logprob*, kept within what JSON can say."""
    return max(logprob, _LOWEST)
