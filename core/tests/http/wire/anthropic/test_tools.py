from __future__ import annotations

from typing import Any

import msgspec
import pytest
from swarmgate.chat import Tool, ToolChoice
from swarmgate.errors import RequestError, Unsupported
from swarmgate.http.wire.anthropic.tools import ToolDefinition, ToolSelection, tool_choice, tools

_SCHEMA = {"type": "object", "properties": {}}


def known(*definitions: dict[str, Any]) -> tuple[Tool, ...]:
    return tools(msgspec.convert(list(definitions), list[ToolDefinition]))


def choice(selection: object, *names: str) -> ToolChoice:
    return tool_choice(msgspec.convert(selection, ToolSelection | None), tuple(Tool(name=name) for name in names))


def test_tools_are_functions_with_a_schema() -> None:
    """Whether their kind is told or not; what else is said of them does not matter."""
    plain = {"name": "look", "input_schema": _SCHEMA}
    full = {**plain, "type": "custom", "description": "Look.", "strict": True, "cache_control": {"type": "ephemeral"}}
    assert known(plain, full) == (
        Tool(name="look", parameters=_SCHEMA),
        Tool(name="look", description="Look.", parameters=_SCHEMA, strict=True),
    )
    assert tools(None) == ()


def test_tools_that_others_run_are_refused_by_name() -> None:
    """Anthropic's own have no schema that a model here could be told."""
    with pytest.raises(Unsupported, match=r"tools\[1\]: .* found one of type 'web_search_20260318'; leave it out"):
        known({"name": "f", "input_schema": _SCHEMA}, {"type": "web_search_20260318", "name": "web_search"})


@pytest.mark.parametrize(
    ("definition", "lacks"), [({"input_schema": _SCHEMA}, "name"), ({"name": "f"}, "input_schema")]
)
def test_what_a_tool_lacks_is_named(definition: dict[str, Any], lacks: str) -> None:
    """By its path in the request."""
    with pytest.raises(RequestError, match="required, but missing") as caught:
        known(definition)
    assert caught.value.param == f"tools[0].{lacks}"


def test_calls_are_free_forced_or_forbidden() -> None:
    """In Anthropic's four words."""
    assert choice(None) == choice({"type": "auto"}, "f") == ToolChoice()
    assert choice({"type": "none"}, "f") == ToolChoice(mode="none")
    assert choice({"type": "any"}, "f") == ToolChoice(mode="required")
    assert choice({"type": "tool", "name": "f"}, "e", "f") == ToolChoice(mode="required", name="f")


def test_a_call_that_cannot_be_is_refused() -> None:
    """There is no tool at all, or none of that name."""
    with pytest.raises(RequestError, match="'any' needs a tool to call"):
        choice({"type": "any"})
    with pytest.raises(RequestError, match=r"expected one of the request's tools \('f'\), found 'g'"):
        choice({"type": "tool", "name": "g"}, "f")
    with pytest.raises(RequestError, match=r"expected one of the request's tools \(no tools\), found None"):
        choice({"type": "tool"})
