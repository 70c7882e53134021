from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from swarmgate_backend_llamacpp.engine.callparser import CallParser, call_id
from swarmgate_backend_llamacpp.engine.toolformats import HERMES, ToolFormat

BARE = ToolFormat("bare", opener="", key="parameters", also=("<|python_tag|>",))
MISTRAL = ToolFormat("mistral", "[TOOL_CALLS]", before="[TOOL_CALLS][", after="]", array=True)
NAMED = ToolFormat("mistral-named", "[TOOL_CALLS]", before="[TOOL_CALLS]", named=True, middle="[ARGS]")
MARKED = ToolFormat("marked", "<TOOLCALL>", "</TOOLCALL>", "<TOOLCALL>[", "]</TOOLCALL>", array=True)
FORMS = [HERMES, BARE, MISTRAL, NAMED, MARKED]

Calls = list[tuple[str, str]]


def read(form: ToolFormat, pieces: list[str], *, parallel: bool = True) -> tuple[str, Calls]:
    parser = CallParser(form, {"f", "g"}, seed=1, parallel=parallel)
    content, calls = "", list[list[str]]()
    for said, deltas in [*map(parser.feed, pieces), parser.finish()]:
        content += said
        for delta in deltas:
            if delta.index == len(calls):
                assert delta.id == call_id(1, delta.index)
                assert delta.name
                calls.append([delta.name, ""])
            else:
                assert delta.index == len(calls) - 1
                assert delta.id is None
                assert delta.name is None
            calls[-1][1] += delta.arguments
    assert parser.called == bool(calls)
    return content, [(name, arguments) for name, arguments in calls]


def whole(form: ToolFormat, text: str) -> tuple[str, Calls]:
    """Read *text* at once and character by character: it must be the same."""
    at_once, singly = read(form, [text]), read(form, list(text))
    assert at_once == singly
    return at_once


MARKS = ["<tool_call>", "</tool_call>", "[TOOL_CALLS]", "[ARGS]", "[CALL_ID]abc", "<TOOLCALL>", "</TOOLCALL>"]
SIGNS = ["{", "}", "[", "]", '"', ":", ",", ";", "\\", " ", "\n", "null", "1", "f", "text", "<", "é", "<|python_tag|>"]
WORDS = ['"name"', '"arguments"', '"parameters"', '"f"', '"nobody"', '{"a": "}"}', '{"name": "f", "arguments": {}}']
OBJECTS = ['{"name": "g", "parameters": {"x": [1, {"y": "\\""}]}}', '{"arguments": {"b": 1}, "name": "f"}']
SNIPPETS = st.sampled_from([*MARKS, *SIGNS, *WORDS, *OBJECTS])


@given(st.sampled_from(FORMS), st.lists(SNIPPETS, max_size=14), st.booleans(), st.data())
def test_cutting_does_not_matter(form: ToolFormat, snippets: list[str], parallel: bool, data: st.DataObject) -> None:
    """Whole, by character and cut anywhere, any text gives the same content and the same calls."""
    text = "".join(snippets)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=4)))
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    expected = read(form, [text], parallel=parallel)
    assert read(form, pieces, parallel=parallel) == expected
    assert read(form, list(text), parallel=parallel) == expected


@given(st.sampled_from(FORMS), st.lists(SNIPPETS, max_size=14))
def test_nothing_is_lost_without_a_call(form: ToolFormat, snippets: list[str]) -> None:
    """A text that holds no call after all is content, every character of it."""
    text = "".join(snippets)
    content, calls = read(form, list(text))
    if not calls:
        assert content == text


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=3)),
    max_leaves=5,
)
ARGUMENTS = st.dictionaries(st.text(max_size=4), JSON, max_size=3).map(
    lambda value: json.dumps(value, ensure_ascii=False)
)


def written(form: ToolFormat, calls: Calls) -> str:
    if form.named:
        return "".join(f"{form.before}{name}{form.middle}{arguments}" for name, arguments in calls)
    objects = [f'{{"name": "{name}", "{form.key}": {arguments}}}' for name, arguments in calls]
    if form.array:
        return form.before + ", ".join(objects) + form.after
    return ("\n" if form.closer else "; ").join(form.before + one + form.after for one in objects)


@given(st.sampled_from(FORMS), st.lists(st.tuples(st.sampled_from("fg"), ARGUMENTS), min_size=1, max_size=3))
def test_calls_are_read_as_written(form: ToolFormat, calls: Calls) -> None:
    """Names and arguments come out character for character, however many calls there are."""
    assert whole(form, written(form, calls)) == ("", calls)


@given(st.sampled_from([f for f in FORMS if f.opener]), st.text("ab \n{", max_size=8), ARGUMENTS)
def test_content_around_calls_stays(form: ToolFormat, said: str, arguments: str) -> None:
    """What is said before and after a call is content, without the white space next to the call."""
    content, calls = whole(form, f"{said}{written(form, [('f', arguments)])}\n done")
    assert calls == [("f", arguments)]
    assert content == said.rstrip() + "done"


@pytest.mark.parametrize(
    ("form", "text", "content", "calls"),
    [
        (HERMES, "<tool_call>\n{oops}\n</tool_call>", "<tool_call>\n{oops}\n</tool_call>", []),
        (HERMES, '<tool_call>{"arguments": {}}</tool_call>', '<tool_call>{"arguments": {}}</tool_call>', []),
        (HERMES, '<tool_call>{"name": "f", "arguments": {"a": tru', "", [("f", '{"a": tru')]),
        (HERMES, '<tool_call>{"name": "f", "arguments": {"a": 1}} what', "what", [("f", '{"a": 1}')]),
        (HERMES, '<tool_call>{"name": "f"}</tool_call>', "", [("f", "{}")]),
        (HERMES, '<tool_call>{"name": "f", "arguments": null}</tool_call>', "", [("f", "{}")]),
        (HERMES, '<tool_call>{"name": "f", "arguments": "{\\"a\\": 1}"}</tool_call>', "", [("f", '{"a": 1}')]),
        (HERMES, '<tool_call>{"name": "f", "arguments": "text"}</tool_call>', "", [("f", '"text"')]),
        (HERMES, '<tool_call>{"id": 7, "name": "f", "x": [1], "arguments": {} }</tool_call>', "", [("f", "{}")]),
        (HERMES, '<tool_call>{"name": "new", "arguments": {}}</tool_call>', "", [("new", "{}")]),
        (HERMES, '<tool_call>{"function": {"name": "f", "arguments": {"a": 1}}}', "", [("f", '{"a": 1}')]),
        (HERMES, '<tool_call>{"name": "f"}\n{"name": "g"}\n</tool_call>', "", [("f", "{}"), ("g", "{}")]),
        (HERMES, '<tool_call>a<tool_call>{"name": "f"}', "<tool_call>a", [("f", "{}")]),
        (HERMES, '<tool_call>{"name": "f", "arguments": {}, oops', "oops", [("f", "{}")]),
        (HERMES, '<tool_call>{"name": "f"', '<tool_call>{"name": "f"', []),
        (HERMES, "a <tool_", "a <tool_", []),
        (BARE, '{"name": "f", "parameters": {"a": 1}}', "", [("f", '{"a": 1}')]),
        (BARE, '<|python_tag|>{"type": "function", "name": "f", "parameters": {}}', "", [("f", "{}")]),
        (BARE, '{"name": "Bob", "parameters": {}}', '{"name": "Bob", "parameters": {}}', []),
        (BARE, '{"result": {"name": "f"}}', '{"result": {"name": "f"}}', []),
        (BARE, 'See {"name": "f", "parameters": {}}', 'See {"name": "f", "parameters": {}}', []),
        (BARE, '{"name": "f", "parameters": {}}; {"name": "g", "parameters": {}}', "", [("f", "{}"), ("g", "{}")]),
        (BARE, '{"name": "f", "parameters": {}};', ";", [("f", "{}")]),
        (MISTRAL, '[TOOL_CALLS] [{"name": "f", "arguments": {}, "id": "abcdefghi"}]', "", [("f", "{}")]),
        (MISTRAL, '[TOOL_CALLS]{"name": "f", "arguments": {}}', "", [("f", "{}")]),
        (MISTRAL, "[TOOL_CALLS] none", "[TOOL_CALLS] none", []),
        (MISTRAL, "[1, 2]", "[1, 2]", []),
        (NAMED, '[TOOL_CALLS]f[CALL_ID]abcdefghi[ARGS]{"a": 1}', "", [("f", '{"a": 1}')]),
        (NAMED, '[TOOL_CALLS]f{"a": 1}[TOOL_CALLS]g[ARGS]{}', "", [("f", '{"a": 1}'), ("g", "{}")]),
        (NAMED, '[TOOL_CALLS][{"name": "f", "arguments": {}}]', "", [("f", "{}")]),
        (NAMED, "[TOOL_CALLS]not a {name", "[TOOL_CALLS]not a {name", []),
        (NAMED, "[TOOL_CALLS]" + "x" * 300, "[TOOL_CALLS]" + "x" * 300, []),
    ],
)
def test_what_models_get_up_to(form: ToolFormat, text: str, content: str, calls: Calls) -> None:
    """Careless calls are read where their meaning is plain; what is no call is content."""
    assert whole(form, text) == (content, calls)


def test_arguments_stream() -> None:
    """The name comes when the arguments begin, and the arguments as they are written."""
    parser = CallParser(HERMES, {"f"}, seed=1)
    assert parser.feed('Hm.\n<tool_call>\n{"name": "f", "argum') == ("Hm.", ())
    content, (first,) = parser.feed('ents": {"ci')
    assert (content, first.index, first.name, first.arguments) == ("", 0, "f", '{"ci')
    _, (second,) = parser.feed('ty": "Ro')
    assert (second.index, second.id, second.name, second.arguments) == (0, None, None, 'ty": "Ro')
    assert parser.called


def test_one_call_where_one_is_allowed() -> None:
    """Without parallel calls everything after the first is swallowed."""
    calls: Any = [("f", "{}"), ("g", "{}")]
    for form in FORMS:
        assert read(form, [written(form, calls) + "more"], parallel=False) == ("", calls[:1])
