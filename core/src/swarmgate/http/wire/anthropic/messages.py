"""``POST /v1/messages`` and ``/v1/messages/count_tokens``: the requests."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from swarmgate.chat import ChatPrompt, GenerateRequest, ModelCard, ResponseFormat, Sampling, TokenizeRequest
from swarmgate.http.wire.anthropic.conversation import Block, Turn, conversation
from swarmgate.http.wire.anthropic.documents import TokenCount
from swarmgate.http.wire.anthropic.forms import Display, MessageEvents, MessageWhole
from swarmgate.http.wire.anthropic.tools import ToolDefinition, ToolSelection, tool_choice, tools
from swarmgate.http.wire.asked import Caller, Generating, chosen
from swarmgate.http.wire.heading import encode
from swarmgate.http.wire.reading import INT32_MAX, INT64_MAX, Body, provided
from swarmgate.http.wire.sampling import Share

_MOST_STOPS = 64
#: Levels that models do not know by these names become the highest they do.
_EFFORTS = {"xhigh": "high", "max": "high"}


class Metadata(Struct, kw_only=True):
    """Who asks; *user_id* names a conversation to balancers."""

    user_id: str | None = None


class ThinkingConfig(Struct, kw_only=True):
    """Whether to think before answering; *budget_tokens* is not kept, *display* says whether thoughts are shown."""

    type: Literal["enabled", "adaptive", "disabled"]
    budget_tokens: int | None = None
    display: Literal["summarized", "omitted"] | None = None


class OutputFormat(Struct, kw_only=True):
    """The form of the text: JSON that obeys *schema*."""

    type: Literal["json_schema"]
    schema: dict[str, Any]


class OutputConfig(Struct, kw_only=True):
    """How much effort to make, for models whose template knows that, and the form of the text."""

    effort: Literal["low", "medium", "high", "xhigh", "max"] | None = None
    format: OutputFormat | None = None


class AskingBody(Body, kw_only=True):
    """What is asked, whether it is to be answered or counted.  All prompts are cached, also without *cache_control*."""

    model: str
    messages: Annotated[list[Turn], Meta(min_length=1)]
    system: str | list[Block] | None = None
    tools: list[ToolDefinition] | None = None
    tool_choice: ToolSelection | None = None
    thinking: ThinkingConfig | None = None
    output_config: OutputConfig | None = None
    cache_control: dict[str, Any] | None = None


class MessagesBody(AskingBody, kw_only=True):
    """A conversation to be continued."""

    max_tokens: Annotated[int, Meta(ge=1, le=INT64_MAX)]
    stream: bool | None = None
    stop_sequences: Annotated[list[str], Meta(max_length=_MOST_STOPS)] | None = None
    temperature: Annotated[float, Meta(ge=0, le=100)] | None = None
    top_p: Share | None = None
    top_k: Annotated[int, Meta(ge=0, le=INT64_MAX)] | None = None
    metadata: Metadata | None = None


class CountBody(AskingBody, kw_only=True):
    """A conversation whose tokens are to be counted."""


def messages(body: MessagesBody, cards: tuple[ModelCard, ...], caller: Caller) -> Generating:
    """Translate *body*, of which one of *cards* is asked.

    Raises:
        RequestError: it contradicts itself, or lacks something; *param* says where.
        Unsupported: it has something that is not text, or tools that others run.
        UnknownModel: nobody serves the model it names.

    """
    chosen(cards, body.model)
    sampling = provided(
        temperature=body.temperature,
        top_p=body.top_p,
        top_k=None if body.top_k is None else min(body.top_k, INT32_MAX),
    )
    request = GenerateRequest(
        id=caller.id,
        model=body.model,
        prompt=_prompt(body),
        sampling=Sampling(**sampling),
        max_tokens=min(body.max_tokens, INT32_MAX),
        stop=tuple(stop for stop in body.stop_sequences or () if stop),
        response_format=_format(body),
        session=caller.session_of(body.metadata.user_id if body.metadata else None),
    )
    kind = MessageEvents if body.stream else MessageWhole
    form = kind(f"msg_{caller.tag}", request, body.model, _display(body.thinking))
    return Generating(requests=(request,), form=form, stream=bool(body.stream))


def counting(body: CountBody, cards: tuple[ModelCard, ...]) -> TokenizeRequest:
    """Translate *body* into a chat whose tokens are wanted.  Raises like :func:`messages`."""
    return TokenizeRequest(model=chosen(cards, body.model).name, chat=_prompt(body))


def count_document(tokens: int) -> bytes:
    """Return how many *tokens* there are as JSON."""
    return encode(TokenCount(input_tokens=tokens))


def _prompt(body: AskingBody) -> ChatPrompt:
    known = tools(body.tools)
    return ChatPrompt(
        messages=conversation(body.system, body.messages),
        tools=known,
        tool_choice=tool_choice(body.tool_choice, known),
        parallel_tool_calls=not (body.tool_choice and body.tool_choice.disable_parallel_tool_use),
        template_kwargs=_told_to_templates(body),
    )


def _told_to_templates(body: AskingBody) -> dict[str, Any]:
    """Return what templates are told of thinking: nothing where the client says nothing."""
    told: dict[str, Any] = {}
    if body.thinking is not None:
        told["enable_thinking"] = body.thinking.type != "disabled"
    if body.output_config is not None and body.output_config.effort is not None:
        told["reasoning_effort"] = _EFFORTS.get(body.output_config.effort, body.output_config.effort)
    return told


def _format(body: AskingBody) -> ResponseFormat:
    wanted = body.output_config.format if body.output_config else None
    return ResponseFormat() if wanted is None else ResponseFormat(kind="json_schema", schema=wanted.schema)


def _display(thinking: ThinkingConfig | None) -> Display:
    if thinking is not None and thinking.type == "disabled":
        return "off"
    return "omitted" if thinking is not None and thinking.display == "omitted" else "shown"
