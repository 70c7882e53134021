"""The events of a streamed response, each a server-sent event with its own name."""

from __future__ import annotations

from msgspec import Struct, field

from swarmgate.http.wire.chat_documents import TokenLogprobDocument
from swarmgate.http.wire.heading import encode
from swarmgate.http.wire.responses.documents import OutputItem, OutputText, ReasoningText, ResponseDocument


class ResponseEvent(Struct, kw_only=True, tag_field="type"):
    """One event; they are numbered from 0."""

    sequence_number: int


class ResponseCreated(ResponseEvent, kw_only=True, tag="response.created"):
    """There is going to be an answer."""

    response: ResponseDocument


class ResponseInProgress(ResponseEvent, kw_only=True, tag="response.in_progress"):
    """It is being written."""

    response: ResponseDocument


class ResponseCompleted(ResponseEvent, kw_only=True, tag="response.completed"):
    """It is there."""

    response: ResponseDocument


class ResponseIncomplete(ResponseEvent, kw_only=True, tag="response.incomplete"):
    """It ended too soon."""

    response: ResponseDocument


class ResponseFailed(ResponseEvent, kw_only=True, tag="response.failed"):
    """It cannot be written to its end."""

    response: ResponseDocument


class ResponseErrorEvent(ResponseEvent, kw_only=True, tag="error"):
    """What went wrong."""

    code: str | None
    message: str
    param: str | None


class ItemAdded(ResponseEvent, kw_only=True, tag="response.output_item.added"):
    """An item begins."""

    output_index: int
    item: OutputItem


class ItemDone(ResponseEvent, kw_only=True, tag="response.output_item.done"):
    """An item is whole."""

    output_index: int
    item: OutputItem


class PartAdded(ResponseEvent, kw_only=True, tag="response.content_part.added"):
    """A part of an item begins."""

    item_id: str
    output_index: int
    content_index: int
    part: OutputText | ReasoningText


class PartDone(ResponseEvent, kw_only=True, tag="response.content_part.done"):
    """A part of an item is whole."""

    item_id: str
    output_index: int
    content_index: int
    part: OutputText | ReasoningText


class OutputTextDelta(ResponseEvent, kw_only=True, tag="response.output_text.delta"):
    """A piece of text."""

    item_id: str
    output_index: int
    content_index: int
    delta: str
    logprobs: list[TokenLogprobDocument] = field(default_factory=list[TokenLogprobDocument])


class OutputTextDone(ResponseEvent, kw_only=True, tag="response.output_text.done"):
    """All of a text."""

    item_id: str
    output_index: int
    content_index: int
    text: str
    logprobs: list[TokenLogprobDocument] = field(default_factory=list[TokenLogprobDocument])


class ReasoningDelta(ResponseEvent, kw_only=True, tag="response.reasoning_text.delta"):
    """A piece of the model's thoughts."""

    item_id: str
    output_index: int
    content_index: int
    delta: str


class ReasoningDone(ResponseEvent, kw_only=True, tag="response.reasoning_text.done"):
    """All of the model's thoughts."""

    item_id: str
    output_index: int
    content_index: int
    text: str


class ArgumentsDelta(ResponseEvent, kw_only=True, tag="response.function_call_arguments.delta"):
    """A piece of a call's arguments."""

    item_id: str
    output_index: int
    delta: str


class ArgumentsDone(ResponseEvent, kw_only=True, tag="response.function_call_arguments.done"):
    """All of a call's arguments."""

    item_id: str
    output_index: int
    name: str
    arguments: str


#: All there are, for the OpenAPI document.
EVENTS: tuple[type[ResponseEvent], ...] = (
    ResponseCreated,
    ResponseInProgress,
    ResponseCompleted,
    ResponseIncomplete,
    ResponseFailed,
    ResponseErrorEvent,
    ItemAdded,
    ItemDone,
    PartAdded,
    PartDone,
    OutputTextDelta,
    OutputTextDone,
    ReasoningDelta,
    ReasoningDone,
    ArgumentsDelta,
    ArgumentsDone,
)


def sent(event: ResponseEvent) -> bytes:
    """Return *event* as it is sent."""
    return b"event: %b\ndata: %b\n\n" % (str(event.__struct_config__.tag).encode(), encode(event))
