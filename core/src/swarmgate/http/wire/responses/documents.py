"""The shapes of ``response`` and of what is in it, as they are sent and as the OpenAPI document describes them."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct, field

from swarmgate.chat import Usage
from swarmgate.http.wire.chat_documents import TokenLogprobDocument

ItemStatus = Literal["in_progress", "completed", "incomplete"]


class OutputText(Struct, kw_only=True, tag_field="type", tag="output_text"):
    """Text the model wrote; nothing annotates it here."""

    text: str
    annotations: list[str] = field(default_factory=list[str])
    logprobs: list[TokenLogprobDocument] = field(default_factory=list[TokenLogprobDocument])


class ReasoningText(Struct, kw_only=True, tag_field="type", tag="reasoning_text"):
    """What the model thought, in its own words."""

    text: str


class InputText(Struct, kw_only=True, tag_field="type", tag="input_text"):
    """Text the model was given."""

    text: str


class OutputMessage(Struct, kw_only=True, tag_field="type", tag="message"):
    """A message the model wrote."""

    id: str
    status: ItemStatus
    content: list[OutputText]
    role: Literal["assistant"] = "assistant"


class ReasoningItem(Struct, kw_only=True, tag_field="type", tag="reasoning"):
    """Thoughts of the model, whole: there is no summary of them."""

    id: str
    status: ItemStatus
    content: list[ReasoningText]
    summary: list[str] = field(default_factory=list[str])


class FunctionCallItem(Struct, kw_only=True, tag_field="type", tag="function_call"):
    """A call the model makes; *arguments* is the JSON text it wrote."""

    id: str
    status: ItemStatus
    call_id: str
    name: str
    arguments: str


OutputItem = OutputMessage | ReasoningItem | FunctionCallItem


class InputMessage(Struct, kw_only=True, tag_field="type", tag="message"):
    """A message the model was given."""

    id: str
    role: Literal["user", "system", "developer"]
    content: list[InputText]
    status: ItemStatus = "completed"


class FunctionCallOutputItem(Struct, kw_only=True, tag_field="type", tag="function_call_output"):
    """What came of a call."""

    id: str
    call_id: str
    output: str
    status: ItemStatus = "completed"


class InputItemList(Struct, kw_only=True):
    """Some of the items that a response was asked with."""

    object: Literal["list"] = "list"
    data: list[Any]
    first_id: str | None
    last_id: str | None
    has_more: bool


class DeletedResponse(Struct, kw_only=True):
    """A response that is not kept any more."""

    id: str
    object: Literal["response"] = "response"
    deleted: Literal[True] = True


class InputDetails(Struct, kw_only=True):
    """Of the tokens read, those that needed no computing."""

    cached_tokens: int
    cache_write_tokens: Literal[0] = 0


class OutputDetails(Struct, kw_only=True):
    """Of the tokens written, those that were thoughts."""

    reasoning_tokens: int


class ResponseUsage(Struct, kw_only=True):
    """Token counts of one response."""

    input_tokens: int
    input_tokens_details: InputDetails
    output_tokens: int
    output_tokens_details: OutputDetails
    total_tokens: int


class IncompleteDetails(Struct, kw_only=True):
    """Why a response is not complete."""

    reason: Literal["max_output_tokens", "content_filter"]


class ResponseError(Struct, kw_only=True):
    """Why a response failed, in one of the codes that clients know."""

    code: Literal["server_error", "rate_limit_exceeded", "invalid_prompt"]
    message: str


class FunctionTool(Struct, kw_only=True):
    """A function the model may call."""

    type: str
    name: str = ""
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class TextFormat(Struct, kw_only=True, omit_defaults=True):
    """The form of the text; *name*, *schema*, *description* and *strict* belong to ``json_schema``."""

    type: Literal["text", "json_object", "json_schema"]
    name: str | None = None
    schema: dict[str, Any] | None = None
    description: str | None = None
    strict: bool | None = None


class TextConfig(Struct, kw_only=True):
    """What the text should be like; *verbosity* is said again, and nothing is done about it."""

    format: TextFormat = field(default_factory=lambda: TextFormat(type="text"))
    verbosity: Literal["low", "medium", "high"] | None = None


class ReasoningConfig(Struct, kw_only=True):
    """How much the model should think; templates that know ``reasoning_effort`` are told."""

    effort: str | None = None
    summary: str | None = None


class ResponseToolChoice(Struct, kw_only=True, omit_defaults=True):
    """The function that must be called, or those that may be."""

    type: str
    name: str | None = None
    mode: Literal["auto", "required"] | None = None
    tools: list[dict[str, Any]] | None = None


class ResponseDocument(Struct, kw_only=True):
    """A response, in whatever state; much of it says again what was asked for."""

    id: str
    object: Literal["response"] = "response"
    created_at: int
    status: Literal["in_progress", "completed", "incomplete", "failed"] = "in_progress"
    background: Literal[False] = False
    error: ResponseError | None = None
    incomplete_details: IncompleteDetails | None = None
    instructions: str | None = None
    max_output_tokens: int | None = None
    max_tool_calls: int | None = None
    metadata: dict[str, str] = field(default_factory=dict[str, str])
    model: str
    output: list[OutputItem] = field(default_factory=list[OutputItem])
    parallel_tool_calls: bool = True
    previous_response_id: str | None = None
    prompt_cache_key: str | None = None
    reasoning: ReasoningConfig = field(default_factory=ReasoningConfig)
    safety_identifier: str | None = None
    service_tier: Literal["default"] = "default"
    store: bool = False
    temperature: float
    text: TextConfig = field(default_factory=TextConfig)
    tool_choice: Literal["none", "auto", "required"] | ResponseToolChoice = "auto"
    tools: list[FunctionTool] = field(default_factory=list[FunctionTool])
    top_logprobs: int = 0
    top_p: float
    truncation: Literal["auto", "disabled"] = "disabled"
    usage: ResponseUsage | None = None
    user: str | None = None


def response_usage(usage: Usage, *, thought: int) -> ResponseUsage:
    """Return *usage* as clients of responses read it; *thought* of the tokens written were thoughts."""
    return ResponseUsage(
        input_tokens=usage.prompt_tokens,
        input_tokens_details=InputDetails(cached_tokens=usage.cached_tokens),
        output_tokens=usage.completion_tokens,
        output_tokens_details=OutputDetails(reasoning_tokens=min(thought, usage.completion_tokens)),
        total_tokens=usage.prompt_tokens + usage.completion_tokens,
    )
