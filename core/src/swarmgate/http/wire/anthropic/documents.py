"""The shapes of messages, as they are sent and as the OpenAPI document describes them."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import UNSET, Struct, UnsetType

from swarmgate.chat import Usage

StopReason = Literal["end_turn", "max_tokens", "stop_sequence", "tool_use", "refusal", "model_context_window_exceeded"]


class TextBlock(Struct, kw_only=True, tag_field="type", tag="text"):
    """What the model says."""

    text: str = ""


class ThinkingBlock(Struct, kw_only=True, tag_field="type", tag="thinking"):
    """What it thought before; *signature* is to be passed back with it."""

    thinking: str = ""
    signature: str = ""


class ToolUseBlock(Struct, kw_only=True, tag_field="type", tag="tool_use"):
    """A call that it makes."""

    id: str
    name: str
    input: dict[str, Any]


AnswerBlock = TextBlock | ThinkingBlock | ToolUseBlock


class MessageUsage(Struct, kw_only=True):
    """Token counts; the prompt's are *input_tokens* and those that needed no computing, *cache_read_input_tokens*."""

    input_tokens: int
    output_tokens: int
    cache_read_input_tokens: int = 0
    cache_creation_input_tokens: int = 0


class MessageDocument(Struct, kw_only=True, tag_field="type", tag="message"):
    """A whole answer, or the beginning of a streamed one."""

    id: str
    role: Literal["assistant"] = "assistant"
    model: str
    content: list[AnswerBlock]
    stop_reason: StopReason | None = None
    stop_sequence: str | None = None
    usage: MessageUsage


class MessageStart(Struct, kw_only=True, tag_field="type", tag="message_start"):
    """The first event: a message without content.  Its token counts are not known yet, and zero."""

    message: MessageDocument


class BlockStart(Struct, kw_only=True, tag_field="type", tag="content_block_start"):
    """A block begins."""

    index: int
    content_block: AnswerBlock


class TextDelta(Struct, kw_only=True, tag_field="type", tag="text_delta"):
    """More of a text."""

    text: str


class ThinkingDelta(Struct, kw_only=True, tag_field="type", tag="thinking_delta"):
    """More of what it thinks."""

    thinking: str


class SignatureDelta(Struct, kw_only=True, tag_field="type", tag="signature_delta"):
    """The signature of what it thought, at the end of the block."""

    signature: str


class InputDelta(Struct, kw_only=True, tag_field="type", tag="input_json_delta"):
    """More of a call's input: a piece of its JSON."""

    partial_json: str


class BlockDelta(Struct, kw_only=True, tag_field="type", tag="content_block_delta"):
    """A block goes on."""

    index: int
    delta: TextDelta | ThinkingDelta | SignatureDelta | InputDelta


class BlockStop(Struct, kw_only=True, tag_field="type", tag="content_block_stop"):
    """A block is over."""

    index: int


class MessageEnd(Struct, kw_only=True):
    """Why an answer ended; *stop_sequence* is the one that was met."""

    stop_reason: StopReason
    stop_sequence: str | None


class MessageDelta(Struct, kw_only=True, tag_field="type", tag="message_delta"):
    """The answer is over: why, and all its tokens."""

    delta: MessageEnd
    usage: MessageUsage


class MessageStop(Struct, kw_only=True, tag_field="type", tag="message_stop"):
    """The last event."""


class Ping(Struct, kw_only=True, tag_field="type", tag="ping"):
    """Something will come."""


class TokenCount(Struct, kw_only=True):
    """How many tokens a request would make the model read."""

    input_tokens: int


class ModelEntry(Struct, kw_only=True, tag_field="type", tag="model"):
    """A model.  *max_input_tokens* is the context, prompt and answer together."""

    id: str
    display_name: str
    created_at: str
    lifecycle: Literal["active"] = "active"
    max_input_tokens: int | UnsetType = UNSET
    max_tokens: int | UnsetType = UNSET


class ModelPage(Struct, kw_only=True):
    """All models, on one page."""

    data: list[ModelEntry]
    has_more: bool = False
    first_id: str | None
    last_id: str | None


def message_usage(usage: Usage) -> MessageUsage:
    """Return *usage* as clients read it."""
    return MessageUsage(
        input_tokens=usage.prompt_tokens - usage.cached_tokens,
        output_tokens=usage.completion_tokens,
        cache_read_input_tokens=usage.cached_tokens,
    )
