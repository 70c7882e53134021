"""``POST /v1/responses``: the request."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct
from msgspec.structs import replace

from swarmgate.chat import ChatPrompt, GenerateRequest, Message, ModelCard, ResponseFormat, Tool
from swarmgate.chat import ToolChoice as Choice
from swarmgate.errors import RequestError, Unsupported
from swarmgate.http.wire.asked import Caller, Generating, chosen
from swarmgate.http.wire.messages import FunctionBody, NamedFunction, tool, tool_choice
from swarmgate.http.wire.responses.documents import (
    FunctionTool,
    ReasoningConfig,
    ResponseDocument,
    ResponseToolChoice,
    TextConfig,
    TextFormat,
)
from swarmgate.http.wire.responses.forms import ResponseEvents, WholeResponse
from swarmgate.http.wire.responses.items import ItemBody, messages
from swarmgate.http.wire.sampling import Limit, SamplingBody, limit, sampling

_LOGPROBS = "message.output_text.logprobs"
_MOST_METADATA = 16


class ResponseStreamOptions(Struct, kw_only=True):
    """How to stream; nothing here pads events, whatever *include_obfuscation* says."""

    include_obfuscation: bool | None = None


class ResponseBody(SamplingBody, kw_only=True):
    """What is to be answered.  *store* is on unless it is turned off, as OpenAI has it."""

    input: str | list[ItemBody] | None = None
    model: str | None = None
    instructions: str | None = None
    previous_response_id: str | None = None
    store: bool | None = None
    stream: bool | None = None
    stream_options: ResponseStreamOptions | None = None
    max_output_tokens: Limit | None = None
    max_tool_calls: int | None = None
    tools: list[FunctionTool] | None = None
    tool_choice: Literal["none", "auto", "required"] | ResponseToolChoice | None = None
    parallel_tool_calls: bool | None = None
    text: TextConfig | None = None
    reasoning: ReasoningConfig | None = None
    include: list[str] | None = None
    top_logprobs: Annotated[int, Meta(ge=0, le=20)] | None = None
    truncation: Literal["auto", "disabled"] | None = None
    metadata: Annotated[dict[str, str], Meta(max_length=_MOST_METADATA)] | None = None
    background: bool | None = None
    conversation: Any = None
    prompt: Any = None
    prompt_cache_key: str | None = None
    safety_identifier: str | None = None
    user: str | None = None
    priority: int | None = None
    chat_template_kwargs: dict[str, Any] | None = None


def given(body: ResponseBody) -> list[ItemBody]:
    """Return the items that *body* itself brings.

    Raises:
        RequestError: there are none.

    """
    if isinstance(body.input, str):
        return [ItemBody(type="message", role="user", content=body.input)]
    if not body.input:
        raise RequestError("input: required, but missing; send a text or a list of items", param="input")
    return body.input


def response(
    body: ResponseBody,
    items: Sequence[ItemBody],
    cards: tuple[ModelCard, ...],
    caller: Caller,
    *,
    earlier: Sequence[ItemBody] = (),
    keep: Callable[[ResponseDocument], None] | None = None,
) -> Generating:
    """Translate *body*, which brings *items* after the *earlier* ones, and of which one of *cards* is asked.

    *keep* is given the response when it is complete.

    Raises:
        RequestError: it contradicts itself, or lacks something; *param* says where.
        Unsupported: it asks for what is done on OpenAI's machines alone.
        UnknownModel: nobody serves the model it names.

    """
    _refuse(body)
    card = chosen(cards, body.model)
    tools, choice = _tools(body)
    request = GenerateRequest(
        id=caller.id,
        model=body.model or card.name,
        prompt=ChatPrompt(
            messages=_messages(body, items, earlier),
            tools=tools,
            tool_choice=choice,
            parallel_tool_calls=body.parallel_tool_calls is not False,
            template_kwargs=_template(body),
        ),
        sampling=sampling(body),
        max_tokens=limit(body.max_output_tokens, param="max_output_tokens"),
        response_format=_format(body.text),
        logprobs=_logprobs(body),
        session=caller.session_of(body.prompt_cache_key, body.user),
        priority=body.priority or 0,
    )
    begun = _begun(body, request, caller, stored=keep is not None)
    stream = bool(body.stream)
    if not stream:
        return Generating(requests=(request,), form=WholeResponse(begun, keep=keep), stream=False)
    form = ResponseEvents(begun, keep=keep)
    return Generating(requests=(request,), form=form, stream=True, failure=form.fail)


def shortened(asked: Generating) -> Generating | None:
    """Return *asked* without the older half of its conversation, None if nothing can be left out.

    Instructions stay, and what stays begins with something that the user said.
    """
    prompt = asked.requests[0].prompt
    if not isinstance(prompt, ChatPrompt):
        return None
    instructions = [message for message in prompt.messages if message.role == "system"]
    said = [message for message in prompt.messages if message.role != "system"]
    starts = [index for index, message in enumerate(said) if message.role == "user" and index]
    if not starts:
        return None
    start = next((index for index in starts if index >= len(said) // 2), starts[-1])
    shorter = replace(prompt, messages=(*instructions, *said[start:]))
    request = replace(asked.requests[0], prompt=shorter)
    return Generating(requests=(request,), form=asked.form, stream=asked.stream, failure=asked.failure)


def _messages(body: ResponseBody, items: Sequence[ItemBody], earlier: Sequence[ItemBody]) -> tuple[Message, ...]:
    instructions = (Message(role="system", content=body.instructions),) if body.instructions else ()
    return (*instructions, *messages((*earlier, *items)))


def _refuse(body: ResponseBody) -> None:
    if body.background:
        raise Unsupported("background: nothing is answered in the background here; leave it out", param="background")
    for name in ("conversation", "prompt"):
        if getattr(body, name) is not None:
            raise Unsupported(f"{name}: is kept on OpenAI's machines alone; send the items in input", param=name)
    for index, offered in enumerate(body.tools or ()):
        if offered.type != "function":
            param = f"tools[{index}].type"
            raise Unsupported(
                f"{param}: expected 'function', since no tools are run here, found {offered.type[:40]!r}; leave it out",
                param=param,
            )
        if not offered.name:
            raise RequestError(f"tools[{index}].name: required, but missing", param=f"tools[{index}].name")


def _tools(body: ResponseBody) -> tuple[tuple[Tool, ...], Choice]:
    offered = tuple(
        tool(FunctionBody(name=each.name, description=each.description, parameters=each.parameters, strict=each.strict))
        for each in body.tools or ()
    )
    wanted = body.tool_choice
    if not isinstance(wanted, ResponseToolChoice):
        return offered, tool_choice(wanted, offered, "tool_choice")
    if wanted.type == "function":
        return offered, tool_choice(NamedFunction(name=wanted.name or ""), offered, "tool_choice.name")
    if wanted.type == "allowed_tools":
        names = {each.get("name") for each in wanted.tools or ()}
        allowed = tuple(each for each in offered if each.name in names)
        return allowed, tool_choice(wanted.mode or "auto", allowed, "tool_choice.mode")
    raise Unsupported(
        f"tool_choice.type: expected 'function' or 'allowed_tools', found {wanted.type[:40]!r}",
        param="tool_choice.type",
    )


def _template(body: ResponseBody) -> dict[str, Any]:
    """Return what the model's template is told: gpt-oss' word for effort, and Qwen's for none."""
    effort = body.reasoning.effort if body.reasoning is not None else None
    if effort is None:
        told: dict[str, Any] = {}
    elif effort == "none":
        told = {"enable_thinking": False}
    else:
        told = {"reasoning_effort": effort}
    return told | (body.chat_template_kwargs or {})


def _format(text: TextConfig | None) -> ResponseFormat:
    match text.format if text is not None else None:
        case TextFormat(type="json_schema", name=name, schema=dict() as schema):
            return ResponseFormat(kind="json_schema", name=name or "", schema=schema)
        case TextFormat(type="json_schema"):
            param = "text.format.schema"
            raise RequestError(f"{param}: required with type 'json_schema', but missing", param=param)
        case TextFormat(type="json_object"):
            return ResponseFormat(kind="json_object")
        case _:
            return ResponseFormat()


def _logprobs(body: ResponseBody) -> int | None:
    if body.top_logprobs or _LOGPROBS in (body.include or ()):
        return body.top_logprobs or 0
    return None


def _begun(body: ResponseBody, request: GenerateRequest, caller: Caller, *, stored: bool) -> ResponseDocument:
    return ResponseDocument(
        id=f"resp_{caller.tag}",
        created_at=caller.created,
        instructions=body.instructions,
        max_output_tokens=request.max_tokens,
        max_tool_calls=body.max_tool_calls,
        metadata=body.metadata or {},
        model=request.model,
        parallel_tool_calls=body.parallel_tool_calls is not False,
        previous_response_id=body.previous_response_id,
        prompt_cache_key=body.prompt_cache_key,
        reasoning=body.reasoning or ReasoningConfig(),
        safety_identifier=body.safety_identifier,
        store=stored,
        temperature=request.sampling.temperature,
        text=body.text or TextConfig(),
        tool_choice=body.tool_choice or "auto",
        tools=body.tools or [],
        top_logprobs=body.top_logprobs or 0,
        top_p=request.sampling.top_p,
        truncation=body.truncation or "disabled",
        user=body.user,
    )
