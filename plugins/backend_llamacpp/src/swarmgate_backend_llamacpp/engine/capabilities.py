"""What a chat template can do, found out by rendering small conversations with it.  Pure."""

from __future__ import annotations

import json  # noqa: TID251  # finds where a call ends in a text: msgspec has no raw_decode
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from swarmgate.api import SwarmgateError

from swarmgate_backend_llamacpp.engine.templates import ChatTemplate
from swarmgate_backend_llamacpp.engine.toolformats import DESCRIBED, HERMES, ID, ToolFormat

_SAID = "Zq7said"
_SYSTEM = "Zq7system"
_RESULT = "Zq7result"
_NAME = "zq7_probe"
_ARGUMENTS = {"zq7": "needle"}
_SHORT, _LONG = "zq7probe1", "call_zq7probe0001"
_TOOL = {
    "type": "function",
    "function": {
        "name": _NAME,
        "description": "d",
        "parameters": {"type": "object", "properties": {"zq7": {"type": "string", "description": "d"}}},
    },
}
_USER = {"role": "user", "content": "u"}
_MAX_MARK = 40
_MARK = re.compile(r"<[^<>\s]+>|\[/[A-Z_]+\]")

Messages = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Capabilities:
    """How a conversation must be laid out for one template.

    *form* is how its model writes calls, None where the template does not know tools or we do not know the form: then
    tools are described in the system message and calls are :data:`DESCRIBED`.  *typed*: contents are lists of parts.
    *system*: there may be system messages.  *void*: beside calls an empty content is null.  *text*: arguments are JSON
    text, not an object.  *short*: call ids have nine letters.  *single*: one call per message.
    """

    form: ToolFormat | None = None
    typed: bool = False
    system: bool = True
    void: bool = False
    text: bool = False
    short: bool = False
    single: bool = False

    @property
    def spoken(self) -> ToolFormat:
        """Return the form in which calls are to be expected and forced."""
        return self.form or DESCRIBED


def probe(template: ChatTemplate) -> Capabilities:
    """Return what *template* can do; about a dozen small renderings."""
    found = Capabilities()
    if _SAID not in _try(template, [_user(_SAID, found)]) and _SAID in _try(
        template, [_user(_SAID, replace(found, typed=True))]
    ):
        found = replace(found, typed=True)
    system = {"role": "system", "content": _content(_SYSTEM, found)}
    greeted = [system, _user("u", found)]
    heard = any(_SYSTEM in _try(template, greeted, tools=tools) for tools in (None, [_TOOL]))
    found = replace(found, system=heard)
    if _NAME not in _try(template, [_user("u", found)], tools=[_TOOL]):
        return found
    for variant in (
        replace(found, void=void, text=text, short=short)
        for short in (False, True)
        for void in (False, True)
        for text in (False, True)
    ):
        form = _form(template, variant)
        if form is not None and _RESULT in _try(template, _exchange(variant, 1, closed=True), tools=[_TOOL]):
            single = _try(template, _exchange(variant, 2, closed=True), tools=[_TOOL]).count(_RESULT) < 2  # noqa: PLR2004  # both of two
            return replace(variant, form=replace(form, parallel=not single), single=single)
    return found


def _user(text: str, found: Capabilities) -> dict[str, Any]:
    return {"role": "user", "content": _content(text, found)}


def _content(text: str, found: Capabilities) -> Any:
    return [{"type": "text", "text": text}] if found.typed else text


def _exchange(found: Capabilities, calls: int, *, closed: bool = False) -> list[dict[str, Any]]:
    """Return a question and *calls* calls, with their results if *closed*."""
    ids = [(_SHORT if found.short else _LONG)[:-1] + str(n) for n in range(1, calls + 1)]
    arguments = json.dumps(_ARGUMENTS) if found.text else _ARGUMENTS
    made = [{"id": i, "type": "function", "function": {"name": _NAME, "arguments": arguments}} for i in ids]
    content = None if found.void else _content("", found)
    results = [
        {"role": "tool", "tool_call_id": i, "name": _NAME, "content": _content(_RESULT, found)} for i in ids if closed
    ]
    return [_user("u", found), {"role": "assistant", "content": content, "tool_calls": made}, *results]


def _try(template: ChatTemplate, messages: Messages, *, tools: Any = None, generate: bool = True) -> str:
    try:
        return template.render(messages, tools=tools, generate=generate)
    except SwarmgateError:
        return ""


def _form(template: ChatTemplate, found: Capabilities) -> ToolFormat | None:
    """Return how *template* writes a call, if it is a way we can read."""
    asked = _try(template, [_user("u", found)], tools=[_TOOL])
    called = _try(template, _exchange(found, 1), tools=[_TOOL], generate=False)
    said = _try(
        template,
        [_user("u", found), {"role": "assistant", "content": _content(_SAID, found)}],
        tools=[_TOOL],
        generate=False,
    )
    ending = said.rpartition(_SAID)[2]
    answer = called[_parting(asked, called) :]
    if ending and answer.endswith(ending):
        answer = answer[: -len(ending)]
    answer = re.sub(r"^\s*(<think>)?\s*</think>\s*", "", answer)
    return _objects(answer, template.source) or _named(answer, found)


def _parting(one: str, other: str) -> int:
    """Return where two texts part, moved to the beginning of the mark they part in."""
    at = next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    begun = re.search(r"[<\[][^<>\[\]\s]*$", other[:at])
    return begun.start() if begun else at


def _objects(answer: str, source: str) -> ToolFormat | None:
    start = answer.rfind("{", 0, max(answer.find(f'"{_NAME}"'), 0))
    if start < 0:
        return None
    try:
        value, end = json.JSONDecoder().raw_decode(answer, start)
    except ValueError:
        return None
    call = cast("dict[str, Any]", value) if isinstance(value, dict) else {}
    key = next((key for key in ("arguments", "parameters") if call.get(key) == _ARGUMENTS), None)
    if call.get("name") != _NAME or key is None:
        return None
    before, after = answer[:start], answer[end:]
    array = before.rstrip().endswith("[") and after.lstrip().startswith("]")
    opener = before.rstrip()[:-1].strip() if array else before.strip()
    closer = after.lstrip()[1:].strip() if array else after.strip()
    mark = _MARK.match(closer)
    if mark and mark[0] != closer:  # what follows the first mark ends the whole answer
        after, closer = after[: after.index(mark[0])] + mark[0], mark[0]
    if not all(re.fullmatch(rf"\S{{0,{_MAX_MARK}}}", mark) for mark in (opener, closer)) or (array and not opener):
        return None
    also = ("<|python_tag|>",) if not opener and "<|python_tag|>" in source else ()
    if not opener:
        return ToolFormat("bare", opener="", closer="", key=key, also=also)
    names = {HERMES.opener: HERMES.name, "[TOOL_CALLS]": "mistral"}
    return ToolFormat(
        names.get(opener, "marked"), opener, closer, before.lstrip(), after.rstrip(), array=array, key=key
    )


def _named(answer: str, found: Capabilities) -> ToolFormat | None:
    """Mistral's newer form: the mark, the name, perhaps an id, the arguments."""
    identity = re.escape(_SHORT if found.short else _LONG)
    arguments = re.escape(json.dumps(_ARGUMENTS))
    match = re.fullmatch(rf"\s*(\[TOOL_CALLS\]){_NAME}((?:\[CALL_ID\]{identity})?(?:\[ARGS\])?){arguments}\s*", answer)
    if match is None:
        return None
    middle = match[2].replace(_SHORT if found.short else _LONG, ID)
    return ToolFormat("mistral-named", match[1], before=match[1], named=True, middle=middle)
