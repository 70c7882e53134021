"""Ollama's messages into ours, whose results name the calls they are of.  Pure."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec import Struct

from swarmgate.chat import FunctionCall, Message
from swarmgate.errors import Unsupported


class CalledTool(Struct, kw_only=True):
    """A function's name and its arguments."""

    name: str
    arguments: dict[str, Any] = {}


class PastCall(Struct, kw_only=True):
    """A call the model made earlier; older clients do not tell its *id*."""

    function: CalledTool
    id: str | None = None


class PastMessage(Struct, kw_only=True):
    """One message; of a tool's, *tool_name* says whose result it is, or *tool_call_id* of which call."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str | None = None
    thinking: str | None = None
    images: list[Any] | None = None
    tool_calls: list[PastCall] | None = None
    tool_name: str | None = None
    tool_call_id: str | None = None


def conversation(messages: list[PastMessage]) -> tuple[Message, ...]:
    """Translate *messages*.

    Raises:
        Unsupported: one has pictures.

    """
    waiting: list[FunctionCall] = []
    laid: list[Message] = []
    for index, message in enumerate(messages):
        refuse_images(message.images, f"messages[{index}].images")
        calls = tuple(_call(call, f"call_{index}_{number}") for number, call in enumerate(message.tool_calls or ()))
        waiting += calls
        laid.append(
            Message(
                role=message.role,
                content=message.content or "",
                name=message.tool_name,
                reasoning=message.thinking or None,
                tool_calls=calls,
                tool_call_id=_answered(message, waiting) if message.role == "tool" else None,
            )
        )
    return tuple(laid)


def refuse_images(images: list[Any] | None, where: str) -> None:
    """Let only requests without pictures pass.

    Raises:
        Unsupported: there are *images*.

    """
    if images:
        raise Unsupported(
            f"{where}: this model reads text only, found {len(images)} images; leave them out", param=where
        )


def _call(call: PastCall, otherwise: str) -> FunctionCall:
    arguments = msgspec.json.encode(call.function.arguments).decode()
    return FunctionCall(id=call.id or otherwise, name=call.function.name, arguments=arguments)


def _answered(result: PastMessage, waiting: list[FunctionCall]) -> str:
    """Return the id of the call that *result* is of, and take it off those that are *waiting*.

    Without an id it is of the first one of its name, without a name of the first one.
    """
    if result.tool_call_id:
        waiting[:] = [call for call in waiting if call.id != result.tool_call_id]
        return result.tool_call_id
    for call in waiting:
        if result.tool_name in (None, "", call.name):
            waiting.remove(call)
            return call.id
    return result.tool_name or ""
