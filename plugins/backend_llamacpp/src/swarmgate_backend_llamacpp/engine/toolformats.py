"""How models write tool calls: the forms, the grammars that force them, and the form for models without one.  Pure.

A form is data.  Its calls are ``{"name": …, "arguments": …}`` between marks, perhaps in an array, or a name with its
arguments after it.  :mod:`.capabilities` finds a model's form out; :mod:`.callparser` reads all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from swarmgate.api import FunctionCall, RequestError, ResponseFormat, Tool, ToolChoice

from swarmgate_backend_llamacpp.engine.gbnf import Grammar, charset, either, literal
from swarmgate_backend_llamacpp.engine.schema import SCHEMA_PARAM, SchemaWriter, format_rule, spelled
from swarmgate_backend_llamacpp.engine.thinking import Thinking

#: Stands for a call's id in :attr:`ToolFormat.middle`.
ID = "{id}"


@dataclass(frozen=True, slots=True)
class ToolFormat:
    """One way to write calls.

    *opener* and *closer* are the marks around a call; without an opener the answer is one bare object.  *also* are
    marks that open a call as well.  *before* and *after* are what stands around an object, white space and brackets
    included, as the model was taught it.  An *array* holds several calls between one pair of marks.  *key* names the
    arguments.  In a *named* form the name stands by itself and *middle* between it and the arguments.
    """

    name: str
    opener: str
    closer: str = ""
    before: str = ""
    after: str = ""
    array: bool = False
    key: str = "arguments"
    named: bool = False
    middle: str = ""
    parallel: bool = True
    also: tuple[str, ...] = ()


HERMES = ToolFormat(
    "hermes", opener="<tool_call>", closer="</tool_call>", before="<tool_call>\n", after="\n</tool_call>"
)
#: For models whose own form is none or unknown to us; untaught, small ones would go on calling for ever when forced.
DESCRIBED = replace(HERMES, parallel=False)
#: Calls that one forced answer may make.
MAX_CALLS = 16

_NOTHING_ASKED = frozenset({"type", "title", "description", "required", "$schema"})


def described(tools: Sequence[Tool]) -> str:
    """Return the section of a system message that teaches a model :data:`HERMES` and tells it of *tools*."""
    lines = "\n".join(spelled(openai_tool(tool)) for tool in tools)
    return (
        "# Tools\n\nYou can call functions to help with the user's request. These are their signatures, one JSON "
        f"object per line:\n<tools>\n{lines}\n</tools>\n\n"
        "To call a function, write its name and its arguments as one JSON object inside <tool_call></tool_call>:\n"
        '<tool_call>\n{"name": "<function name>", "arguments": {<arguments>}}\n</tool_call>\n'
        "Results come back inside <tool_response></tool_response>."
    )


def openai_tool(tool: Tool) -> dict[str, Any]:
    """Return *tool* in OpenAI's form, which templates know."""
    parameters = tool.parameters or {"type": "object", "properties": {}}
    function: dict[str, Any] = {"name": tool.name, "description": tool.description, "parameters": parameters}
    return {"type": "function", "function": function}


def written(calls: Sequence[FunctionCall]) -> str:
    """Return *calls* of an earlier answer as :data:`HERMES` writes them."""
    return "\n".join(
        f'{HERMES.before}{{"name": {spelled(call.name)}, "arguments": {call.arguments or "{}"}}}{HERMES.after}'
        for call in calls
    )


def grammar_for(
    response_format: ResponseFormat,
    tools: Sequence[Tool],
    choice: ToolChoice,
    *,
    parallel: bool,
    form: ToolFormat,
    thinking: Thinking | None = None,
) -> str:
    """Return the grammar of an answer; empty if it is free.

    A forced call is exactly a call in the model's own form, with arguments that obey the tool's schema.  A call that is
    merely allowed beside a *response_format* may stand in its place.  Reasoning may come first where the model reasons.

    Raises:
        RequestError: the tool asked for does not exist, or a schema cannot be had.

    """
    forced = choice.mode == "required" or choice.name is not None
    chosen = _chosen(tools, choice) if forced else list(enumerate(tools)) if choice.mode == "auto" else []
    if not forced and response_format.kind == "text":
        return ""
    grammar = Grammar(param="tools" if forced else SCHEMA_PARAM)
    choices: list[str] = []
    if not forced:
        choices.append(format_rule(response_format, grammar))
    if chosen:
        choices.append(_calls(chosen, grammar, form, many=parallel and form.parallel and choice.name is None))
    root = either(choices)
    return grammar.text(f"{_thought(thinking, grammar)} {root}" if thinking else root)


def _chosen(tools: Sequence[Tool], choice: ToolChoice) -> list[tuple[int, Tool]]:
    if not tools:
        raise RequestError("tool_choice asks for a call, but there are no tools", param="tool_choice")
    found = [(n, tool) for n, tool in enumerate(tools) if choice.name in (None, tool.name)]
    if not found:
        names = ", ".join(tool.name for tool in tools)
        raise RequestError(
            f"tool_choice names {choice.name!r}, which is none of the tools: {names}", param="tool_choice"
        )
    return found


def _calls(tools: Sequence[tuple[int, Tool]], grammar: Grammar, form: ToolFormat, *, many: bool) -> str:
    one = grammar.add("call", either(_call(tool, n, grammar, form) for n, tool in tools))
    around = [literal(form.before)] * bool(form.before), [literal(form.after)] * bool(form.after)
    if form.array:
        more = [grammar.repeat(grammar.add("next-call", f'", " {one}'), 0, MAX_CALLS - 1)] if many else []
        return " ".join([*around[0], one, *more, *around[1]])
    block = grammar.add("block", " ".join([*around[0], one, *around[1]]))
    if not many:
        return block
    following = grammar.add("next-call", f'"\\n" {block}' if form.closer else block)
    return f"{block} {grammar.repeat(following, 0, MAX_CALLS - 1)}"


def _call(tool: Tool, number: int, grammar: Grammar, form: ToolFormat) -> str:
    arguments = _arguments(tool, number, grammar)
    if not form.named:
        start = f'{{"name": {spelled(tool.name)}, "{form.key}": '
        return grammar.add(tool.name, f'{literal(start)} {arguments} "}}"')
    before, has_id, after = form.middle.partition(ID)
    middle = [literal(before), "[a-zA-Z0-9]{9}", literal(after)] if has_id else [literal(form.middle)]
    return grammar.add(tool.name, " ".join([literal(tool.name), *middle, arguments]))


def _arguments(tool: Tool, number: int, grammar: Grammar) -> str:
    schema = {key: value for key, value in tool.parameters.items() if value not in ({}, [], None)}
    if schema.keys() <= _NOTHING_ASKED and not schema.get("required"):
        return '"{}"'
    param = f"tools[{number}].function.parameters"
    return SchemaWriter({"type": "object", **schema}, grammar, param=param, strict=tool.strict).rule()


def _thought(thinking: Thinking, grammar: Grammar) -> str:
    """Return the expression for reasoning, its closing mark and some room; it may be missing if it is not begun yet."""
    thought = f"{_until(thinking.closer, grammar)} [ \\t\\n]{{0,4}}"
    if thinking.opened:
        return thought
    return f"({literal(thinking.opener)} {thought})?"


def _until(mark: str, grammar: Grammar) -> str:
    """Return the rule for any text up to the first *mark*, which ends it: one rule per character already seen."""
    names = [grammar.reserve("thought") for _ in mark]
    signs = sorted(set(mark))
    for seen, name in enumerate(names):
        choices: list[str] = []
        for sign in signs:
            text = mark[:seen] + sign
            following = next(n for n in range(len(text), -1, -1) if text.endswith(mark[:n]))
            choices.append(literal(sign) if following == len(mark) else f"{literal(sign)} {names[following]}")
        others = "[^" + charset((ord(sign), ord(sign)) for sign in signs)[1:]
        grammar.define(name, " | ".join([*choices, f"{others} {names[0]}"]))
    return names[0]
