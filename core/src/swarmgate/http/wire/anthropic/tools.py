"""Tools and whether they may or must be called, into our words.  Pure."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from swarmgate.chat import Tool, ToolChoice
from swarmgate.errors import RequestError, Unsupported

_OWN = (None, "custom")


class ToolDefinition(Struct, kw_only=True):
    """A tool that the client runs; *input_schema* is a JSON schema."""

    name: Annotated[str, Meta(min_length=1, max_length=128)] | None = None
    type: str | None = None
    description: str | None = None
    input_schema: dict[str, Any] | None = None
    strict: bool | None = None


class ToolSelection(Struct, kw_only=True):
    """Whether a tool may (``auto``), must (``any``, or ``tool`` with its *name*) or must not be called."""

    type: Literal["auto", "any", "tool", "none"]
    name: str | None = None
    disable_parallel_tool_use: bool | None = None


def tools(definitions: list[ToolDefinition] | None) -> tuple[Tool, ...]:
    """Translate the tools of a request.

    Raises:
        RequestError: one lacks its name or its schema.
        Unsupported: one is to be run by Anthropic, or known to its models without a schema.

    """
    return tuple(_tool(entry, f"tools[{index}]") for index, entry in enumerate(definitions or ()))


def tool_choice(selection: ToolSelection | None, known: tuple[Tool, ...]) -> ToolChoice:
    """Translate what may or must be called of the *known* tools.

    Raises:
        RequestError: a call is demanded that they cannot answer.

    """
    match selection:
        case None | ToolSelection(type="auto"):
            return ToolChoice()
        case ToolSelection(type="none"):
            return ToolChoice(mode="none")
        case ToolSelection(type="any") if known:
            return ToolChoice(mode="required")
        case ToolSelection(type="tool", name=str() as name) if any(tool.name == name for tool in known):
            return ToolChoice(mode="required", name=name)
        case ToolSelection(type="any"):
            raise RequestError("tool_choice: 'any' needs a tool to call, but tools is empty", param="tool_choice")
        case ToolSelection(name=name):
            names = ", ".join(repr(tool.name) for tool in known) or "no tools"
            raise RequestError(
                f"tool_choice.name: expected one of the request's tools ({names}), found {name!r}",
                param="tool_choice.name",
            )


def _tool(definition: ToolDefinition, where: str) -> Tool:
    if definition.type not in _OWN:
        raise Unsupported(
            f"{where}: tools are described by an input_schema here and run by the client, found one of type "
            f"{definition.type!r}; leave it out",
            param=where,
        )
    if definition.name is None or definition.input_schema is None:
        param = f"{where}.{'name' if definition.name is None else 'input_schema'}"
        raise RequestError(f"{param}: required, but missing", param=param)
    return Tool(
        name=definition.name,
        description=definition.description or "",
        parameters=definition.input_schema,
        strict=bool(definition.strict),
    )
