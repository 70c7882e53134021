"""``POST /v1/chat/completions``: the request."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta

from swarmgate.chat import ChatPrompt, GenerateRequest, ModelCard, ToolChoice
from swarmgate.errors import RequestError
from swarmgate.http.wire.asked import Caller, Generating, chosen
from swarmgate.http.wire.carrying import TokenEvents, resume
from swarmgate.http.wire.chat_forms import ChatChunks, ChatDocument
from swarmgate.http.wire.heading import Heading
from swarmgate.http.wire.messages import (
    FunctionBody,
    FunctionCallBody,
    MessageBody,
    ToolBody,
    ToolChoiceBody,
    message,
    tool,
    tool_choice,
)
from swarmgate.http.wire.sampling import GenerateBody, Limit, choices, limit, response_format, sampling, stops

#: An event without content; its index is filled in.
_BLANK = b'{"index":%d,"delta":{},"logprobs":null,"finish_reason":null}]}\n\n'


class ChatBody(GenerateBody, kw_only=True):
    """A chat to be continued.  *functions* and *function_call* are what came before *tools*."""

    messages: Annotated[list[MessageBody], Meta(min_length=1)]
    max_completion_tokens: Limit | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Meta(ge=0, le=20)] | None = None
    tools: list[ToolBody] | None = None
    tool_choice: ToolChoiceBody | None = None
    parallel_tool_calls: bool | None = None
    functions: list[FunctionBody] | None = None
    function_call: FunctionCallBody | None = None
    chat_template_kwargs: dict[str, Any] | None = None


def chat(body: ChatBody, cards: tuple[ModelCard, ...], caller: Caller) -> Generating:
    """Translate *body*, of which one of *cards* is asked.

    Raises:
        RequestError: it contradicts itself, or lacks something; *param* says where.
        UnknownModel: nobody serves the model it names.
        Unavailable: it goes on with an answer of other weights.

    """
    card = chosen(cards, body.model)
    count = body.n or 1
    first = GenerateRequest(
        id=caller.id,
        model=body.model or card.name,
        prompt=_prompt(body),
        sampling=sampling(body),
        max_tokens=_limit(body),
        stop=stops(body),
        response_format=response_format(body),
        grammar=body.grammar or "",
        logprobs=_logprobs(body),
        ignore_eos=bool(body.ignore_eos),
        session=caller.session_of(body.prompt_cache_key, body.user),
        priority=body.priority or 0,
        resume=resume(body.resume, card, answers=count) if caller.tokens else None,
    )
    heading = Heading(
        id=f"chatcmpl-{caller.tag}", created=caller.created, model=first.model, fingerprint=card.fingerprint
    )
    legacy = bool(body.functions) and not body.tools
    stream = bool(body.stream)
    if stream:
        usage = bool(body.stream_options and body.stream_options.include_usage)
        form = ChatChunks(heading, choices=count, include_usage=usage, legacy=legacy)
        if caller.tokens:
            form = TokenEvents(form, blank=heading.opening("chat.completion.chunk") + _BLANK)
    else:
        form = ChatDocument(heading, choices=count, legacy=legacy)
    return Generating(requests=choices(first, count), form=form, stream=stream)


def _prompt(body: ChatBody) -> ChatPrompt:
    messages = tuple(message(entry, f"messages[{index}]") for index, entry in enumerate(body.messages))
    if body.tools:
        tools = tuple(tool(entry.function) for entry in body.tools)
        choice = tool_choice(body.tool_choice, tools, "tool_choice")
    else:
        tools = tuple(tool(entry) for entry in body.functions or ())
        choice = tool_choice(body.function_call, tools, "function_call") if tools else ToolChoice()
        if body.tool_choice not in {None, "none", "auto"}:
            choice = tool_choice(body.tool_choice, (), "tool_choice")
    parallel = body.parallel_tool_calls is not False and not body.functions
    return ChatPrompt(
        messages=messages,
        tools=tools,
        tool_choice=choice,
        parallel_tool_calls=parallel,
        template_kwargs=body.chat_template_kwargs or {},
    )


def _limit(body: ChatBody) -> int | None:
    if body.max_completion_tokens is not None:
        return limit(body.max_completion_tokens, param="max_completion_tokens")
    return limit(body.max_tokens, param="max_tokens")


def _logprobs(body: ChatBody) -> int | None:
    if body.logprobs:
        return body.top_logprobs or 0
    if body.top_logprobs:
        raise RequestError("top_logprobs: needs logprobs to be true", param="top_logprobs")
    return None
