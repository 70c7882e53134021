"""Chat messages and tools: what clients send into our words."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from swarmgate.chat import FunctionCall, Message, Tool, ToolChoice
from swarmgate.errors import RequestError, Unsupported

_TEXTS = ("text", "input_text", "output_text", "reasoning_text", "summary_text")


class ContentPart(Struct, kw_only=True):
    """A part of a message; only text is read."""

    type: str
    text: str | None = None
    refusal: str | None = None


class CalledFunction(Struct, kw_only=True):
    """A function's name and the JSON text of its arguments (an object is taken as well)."""

    name: str
    arguments: str | dict[str, Any] = ""


class ToolCallBody(Struct, kw_only=True):
    """A call the model made earlier in the conversation."""

    function: CalledFunction
    id: str = ""
    type: Literal["function"] = "function"


class MessageBody(Struct, kw_only=True):
    """One message; which fields count depends on *role*."""

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[ContentPart] | None = None
    name: str | None = None
    reasoning_content: str | None = None
    refusal: str | None = None
    tool_calls: list[ToolCallBody] | None = None
    tool_call_id: str | None = None
    function_call: CalledFunction | None = None


class FunctionBody(Struct, kw_only=True):
    """A function the model may call; *parameters* is a JSON schema."""

    name: Annotated[str, Meta(min_length=1, max_length=128)]
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class ToolBody(Struct, kw_only=True):
    """A tool; functions are the only kind."""

    function: FunctionBody
    type: Literal["function"] = "function"


class NamedFunction(Struct, kw_only=True):
    """The name of a function."""

    name: str


class NamedTool(Struct, kw_only=True):
    """The tool that must be called."""

    function: NamedFunction
    type: Literal["function"] = "function"


ToolChoiceBody = Literal["none", "auto", "required"] | NamedTool
FunctionCallBody = Literal["none", "auto"] | NamedFunction


def message(body: MessageBody, path: str) -> Message:
    """Translate one message; *path* is where it stands in the request.

    Raises:
        RequestError: something its role requires is missing.
        Unsupported: it has a part that is not text.

    """
    content = text_of(body.content, f"{path}.content")
    match body.role:
        case "system" | "developer":
            return Message(role="system", content=_needed(content, path), name=body.name)
        case "user":
            return Message(role="user", content=_needed(content, path), name=body.name)
        case "tool":
            if not body.tool_call_id:
                param = f"{path}.tool_call_id"
                raise RequestError(f"{param}: required for role 'tool', but missing", param=param)
            return Message(role="tool", content=_needed(content, path), name=body.name, tool_call_id=body.tool_call_id)
        case "function":  # what came before tools; the name stands for the id
            return Message(role="tool", content=content or "", name=body.name, tool_call_id=body.name)
        case "assistant":
            calls = tuple(_call(call.function, call.id) for call in body.tool_calls or ())
            if body.function_call is not None:
                calls += (_call(body.function_call, body.function_call.name),)
            return Message(
                role="assistant",
                content=content or body.refusal or "",
                name=body.name,
                reasoning=body.reasoning_content,
                tool_calls=calls,
            )


def tool(body: FunctionBody) -> Tool:
    """Translate one function."""
    return Tool(
        name=body.name,
        description=body.description or "",
        parameters=body.parameters or {},
        strict=bool(body.strict),
    )


def tool_choice(body: ToolChoiceBody | FunctionCallBody | None, tools: tuple[Tool, ...], param: str) -> ToolChoice:
    """Translate what may or must be called.

    Raises:
        RequestError: a call is demanded that the request's *tools* cannot answer.

    """
    if body is None:
        return ToolChoice()
    if isinstance(body, str):
        if body == "required" and not tools:
            raise RequestError(f"{param}: 'required' needs a tool to call, but tools is empty", param=param)
        return ToolChoice(mode=body)
    name = body.function.name if isinstance(body, NamedTool) else body.name
    if all(tool.name != name for tool in tools):
        known = ", ".join(repr(tool.name) for tool in tools) or "no tools"
        raise RequestError(f"{param}: expected one of the request's tools ({known}), found {name!r}", param=param)
    return ToolChoice(mode="required", name=name)


def text_of(content: str | list[ContentPart] | None, path: str) -> str | None:
    """Return the text of *content*, which stands at *path*; None if there is no content.

    Raises:
        RequestError: a part of text has none.
        Unsupported: a part is not text.

    """
    if content is None or isinstance(content, str):
        return content
    return "".join(_part(part, f"{path}[{index}]") for index, part in enumerate(content))


def _part(part: ContentPart, path: str) -> str:
    if part.type == "refusal":
        return part.refusal or ""
    if part.type not in _TEXTS:
        raise Unsupported(
            f"{path}: this model reads text only, found a part of type {part.type!r}; leave it out", param=path
        )
    if part.text is None:
        raise RequestError(f"{path}.text: required, but missing", param=f"{path}.text")
    return part.text


def _needed(content: str | None, path: str) -> str:
    if content is None:
        raise RequestError(f"{path}.content: required, but missing", param=f"{path}.content")
    return content


def _call(body: CalledFunction, call_id: str) -> FunctionCall:
    arguments = body.arguments
    text = arguments if isinstance(arguments, str) else msgspec.json.encode(arguments).decode()
    return FunctionCall(id=call_id, name=body.name, arguments=text)
