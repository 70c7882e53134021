"""A chat's messages laid out for one template, as its capabilities ask.  Pure."""

from __future__ import annotations

import json  # noqa: TID251  # templates write arguments with json.dumps, so they are read alike
from collections.abc import Sequence
from hashlib import sha256
from typing import Any

import msgspec
from swarmgate.api import ChatPrompt, Message, RequestError, Tool

from swarmgate_backend_llamacpp.engine.capabilities import Capabilities
from swarmgate_backend_llamacpp.engine.toolformats import described, written

_ID_LENGTH = 9


def lay_out(prompt: ChatPrompt, tools: Sequence[Tool], found: Capabilities) -> list[dict[str, Any]]:
    """Return the messages of *prompt* as a template with the capabilities *found* accepts them.

    *tools* are those the model is shown; a template that does not know any gets them in its system message.

    Raises:
        RequestError: the arguments of an earlier call are not JSON, or its result names no call.

    """
    messages: Sequence[Message] = prompt.messages
    if found.form is None:
        messages = _explained(messages, tools)
    elif found.single:
        messages = _one_by_one(messages)
    if not found.system:
        messages = _folded(messages)
    names = {call.id: call.name for message in messages for call in message.tool_calls}
    return [_message(message, number, names, found) for number, message in enumerate(messages)]


def _message(message: Message, number: int, names: dict[str, str], found: Capabilities) -> dict[str, Any]:
    content: Any = [{"type": "text", "text": message.content}] if found.typed else message.content
    laid: dict[str, Any] = {"role": message.role, "content": content}
    if message.name is not None:
        laid["name"] = message.name
    if message.reasoning:
        laid["reasoning_content"] = message.reasoning
    if message.tool_calls:
        if not message.content and found.void:
            laid["content"] = None
        laid["tool_calls"] = [
            {
                "id": _identity(call.id, found),
                "type": "function",
                "function": {"name": call.name, "arguments": _arguments(call.arguments, number, found)},
            }
            for call in message.tool_calls
        ]
    if message.role == "tool":
        identity = message.tool_call_id or ""
        laid["tool_call_id"] = _identity(identity, found)
        laid.setdefault("name", names.get(identity, ""))
    return laid


def _arguments(text: str, number: int, found: Capabilities) -> Any:
    if found.text:
        return text or "{}"
    try:
        return json.loads(text or "{}", strict=False)
    except ValueError:
        raise RequestError(
            f"messages[{number}] holds a tool call whose arguments are not JSON: {text[:80]!r}", param="messages"
        ) from None


def _identity(identity: str, found: Capabilities) -> str:
    """Return *identity*, or nine letters made of it where only such are accepted."""
    if not found.short or (len(identity) == _ID_LENGTH and identity.isalnum()):
        return identity
    return sha256(identity.encode()).hexdigest()[:_ID_LENGTH]


def _explained(messages: Sequence[Message], tools: Sequence[Tool]) -> list[Message]:
    """Say tools, calls and results in words that any template can carry."""
    laid: list[Message] = []
    if tools:
        first, messages = (messages[0].content, messages[1:]) if messages[0].role == "system" else ("", messages)
        laid.append(Message(role="system", content="\n\n".join(filter(None, [first, described(tools)]))))
    answering = False
    for message in messages:
        if message.role == "tool":
            text = f"<tool_response>\n{message.content}\n</tool_response>"
            if answering:
                laid[-1] = _with(laid[-1], f"{laid[-1].content}\n{text}")
            else:
                laid.append(Message(role="user", content=text))
            answering = True
            continue
        if message.role == "user" and answering:  # results were laid out as the user's words: it goes on
            laid[-1] = _with(laid[-1], f"{laid[-1].content}\n{message.content}")
        elif message.tool_calls:
            text = "\n".join(filter(None, [message.content, written(message.tool_calls)]))
            laid.append(msgspec.structs.replace(message, content=text, tool_calls=()))
        else:
            laid.append(message)
        answering = False
    return laid


def _with(message: Message, content: str) -> Message:
    return msgspec.structs.replace(message, content=content)


def _one_by_one(messages: Sequence[Message]) -> list[Message]:
    """Lay calls that were made together out one after the other, each followed by its result."""
    laid: list[Message] = []
    waiting: list[Message] = []
    for message in messages:
        if message.role == "tool" and waiting:
            at = next((n for n, one in enumerate(waiting) if one.tool_calls[0].id == message.tool_call_id), 0)
            laid.append(waiting.pop(at))
            laid.append(message)
            continue
        laid += waiting
        waiting = []
        if len(message.tool_calls) > 1:
            split = [msgspec.structs.replace(message, tool_calls=(call,)) for call in message.tool_calls]
            waiting = [split[0], *(_with(one, "") for one in split[1:])]
        else:
            laid.append(message)
    return laid + waiting


def _folded(messages: Sequence[Message]) -> list[Message]:
    """Put what a system message says at the head of the user's next, for templates without a system role."""
    laid: list[Message] = []
    pending: list[str] = []
    for message in messages:
        if message.role == "system":
            pending.append(message.content)
        elif message.role == "user" and pending:
            laid.append(_with(message, "\n\n".join([*pending, message.content])))
            pending = []
        else:
            laid.append(message)
    return laid + ([Message(role="user", content="\n\n".join(pending))] if pending else [])
