"""The gateway's requests in OpenAI's form; pure."""

from __future__ import annotations

from typing import Any

import msgspec
from swarmgate.api import (
    ChatPrompt,
    EmbedRequest,
    FunctionCall,
    GenerateRequest,
    Message,
    ResponseFormat,
    Sampling,
    TextPrompt,
    Tool,
    ToolChoice,
)

CHAT, COMPLETIONS, EMBEDDINGS = "/v1/chat/completions", "/v1/completions", "/v1/embeddings"
RANKINGS = "/v1/rerank"
_PLAIN = Sampling()
#: What every server understands; the rest is llama.cpp's.
_STANDARD = ("temperature", "top_p", "presence_penalty", "frequency_penalty")
_BEYOND = ("top_k", "min_p", "typical_p", "repeat_penalty", "repeat_last_n")


def question(request: GenerateRequest, model: str, *, fingerprint: str | None) -> tuple[str, bytes]:
    """Return the path and the body that ask for *request* of *model*, as it is called there.

    With a *fingerprint* the server is a gateway: it is told all fields, and what of the answer is out already.
    Others are told those beyond OpenAI's only where they are not as usual, for some refuse what they do not know.
    """
    body: dict[str, Any] = {"model": model, "stream": True, "stream_options": {"include_usage": True}}
    if isinstance(request.prompt, ChatPrompt):
        path = CHAT
        body |= _chat(request.prompt)
        if request.logprobs is not None:
            body |= {"logprobs": True, "top_logprobs": request.logprobs}
    else:
        path = COMPLETIONS
        body["prompt"] = request.prompt.text if isinstance(request.prompt, TextPrompt) else list(request.prompt.ids)
        if isinstance(request.prompt, TextPrompt) and request.prompt.suffix:
            body["suffix"] = request.prompt.suffix
        if request.logprobs is not None:
            body["logprobs"] = request.logprobs
    body |= _sampling(request.sampling, everything=fingerprint is not None) | _limits(request)
    if fingerprint is not None and request.resume is not None:
        resume = request.resume
        body["resume"] = {"token_ids": list(resume.token_ids), "seed": resume.seed, "fingerprint": fingerprint}
    return path, msgspec.json.encode(body)


def _limits(request: GenerateRequest) -> dict[str, Any]:
    """Return what bounds the answer and its form."""
    body: dict[str, Any] = {}
    if request.max_tokens is not None:
        body["max_tokens"] = request.max_tokens
    if request.stop:
        body["stop"] = list(request.stop)
    if request.response_format.kind != "text":
        body["response_format"] = _form(request.response_format)
    if request.grammar:
        body["grammar"] = request.grammar
    if request.ignore_eos:
        body["ignore_eos"] = True
    return body


def layout_wanted(chat: ChatPrompt, model: str) -> bytes:
    """Return the body that asks *model*, as it is called there, how it reads *chat*, as text or as tokens.

    A call that is forbidden is of tools that are not shown.
    """
    shown = msgspec.structs.replace(chat, tools=()) if chat.tool_choice.mode == "none" else chat
    return msgspec.json.encode({"model": model, **_chat(shown), "with_pieces": True})


def vectors_wanted(request: EmbedRequest, model: str) -> bytes:
    """Return the body that asks *model*, as it is called there, to embed."""
    inputs = [entry if isinstance(entry, str) else list(entry) for entry in request.inputs]
    body: dict[str, Any] = {"model": model, "input": inputs, "encoding_format": "base64"}
    if request.dimensions is not None:
        body["dimensions"] = request.dimensions
    return msgspec.json.encode(body)


def ranking_wanted(request: EmbedRequest, model: str) -> bytes:
    """Return the body that asks *model*, as it is called there, to judge texts by the request's query."""
    return msgspec.json.encode({"model": model, "query": request.query, "documents": request.inputs})


def _sampling(sampling: Sampling, *, everything: bool) -> dict[str, Any]:
    fields = {name: getattr(sampling, name) for name in _STANDARD}
    beyond = {name: getattr(sampling, name) for name in _BEYOND}
    fields |= {name: value for name, value in beyond.items() if everything or value != getattr(_PLAIN, name)}
    if sampling.logit_bias:
        fields["logit_bias"] = {str(token): added for token, added in sampling.logit_bias.items()}
    if sampling.seed is not None:
        fields["seed"] = sampling.seed
    return fields


def _chat(prompt: ChatPrompt) -> dict[str, Any]:
    body: dict[str, Any] = {"messages": [_message(message) for message in prompt.messages]}
    if prompt.tools:
        body["tools"] = [{"type": "function", "function": _tool(tool)} for tool in prompt.tools]
        body["tool_choice"] = _choice(prompt.tool_choice)
        if not prompt.parallel_tool_calls:
            body["parallel_tool_calls"] = False
    if prompt.template_kwargs:
        body["chat_template_kwargs"] = prompt.template_kwargs
    return body


def _message(message: Message) -> dict[str, Any]:
    said: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.name is not None:
        said["name"] = message.name
    if message.reasoning is not None:
        said["reasoning_content"] = message.reasoning
    if message.tool_calls:
        said["tool_calls"] = [_call(call) for call in message.tool_calls]
        said["content"] = message.content or None
    if message.tool_call_id is not None:
        said["tool_call_id"] = message.tool_call_id
    return said


def _call(call: FunctionCall) -> dict[str, Any]:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}


def _tool(tool: Tool) -> dict[str, Any]:
    said: dict[str, Any] = {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
    return said | ({"strict": True} if tool.strict else {})


def _choice(choice: ToolChoice) -> str | dict[str, Any]:
    if choice.name is None:
        return choice.mode
    return {"type": "function", "function": {"name": choice.name}}


def _form(form: ResponseFormat) -> dict[str, Any]:
    if form.kind == "json_object":
        return {"type": "json_object"}
    schema = {"name": form.name or "answer", "schema": form.schema, "strict": True}
    return {"type": "json_schema", "json_schema": schema}
