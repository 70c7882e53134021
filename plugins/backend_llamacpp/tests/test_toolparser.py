from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from swarmgate_backend_llamacpp.engine.callparser import CallParser
from swarmgate_backend_llamacpp.engine.thinking import Thinking
from swarmgate_backend_llamacpp.engine.toolformats import HERMES
from swarmgate_backend_llamacpp.engine.toolparser import AnswerParser

FREE, OPENED = Thinking("<think>", "</think>"), Thinking("<think>", "</think>", opened=True)


def read(thinking: Thinking | None, pieces: list[str], *, tools: bool = False) -> tuple[str, str, int]:
    parser = AnswerParser(thinking, CallParser(HERMES, {"f"}, seed=1) if tools else None)
    deltas = [*map(parser.feed, pieces), parser.finish()]
    called = sum(call.name is not None for delta in deltas for call in delta.tool_calls)
    assert parser.called == bool(called)
    return "".join(delta.text for delta in deltas), "".join(delta.reasoning for delta in deltas), called


SNIPPETS = st.sampled_from(
    ["<think>", "</think>", "<tool_call>", '{"name": "f"}', "<", "th", "a", " ", "\n", "\n\n", "é"]
)


@given(st.sampled_from([None, FREE, OPENED]), st.lists(SNIPPETS, max_size=12), st.booleans())
def test_cutting_does_not_matter(thinking: Thinking | None, snippets: list[str], tools: bool) -> None:
    """Reasoning, content and calls are the same however the text is cut."""
    text = "".join(snippets)
    expected = read(thinking, [text], tools=tools)
    assert read(thinking, snippets, tools=tools) == expected
    assert read(thinking, list(text), tools=tools) == expected


@given(st.sampled_from([FREE, OPENED]), st.lists(SNIPPETS, max_size=12))
def test_only_marks_and_white_space_are_lost(thinking: Thinking, snippets: list[str]) -> None:
    """Content and reasoning together are the text but for the marks and the room around them."""
    text = "".join(snippets)
    content, reasoning, _ = read(thinking, list(text))

    def bare(text: str) -> str:
        return "".join(text.split())

    kept = bare(reasoning + content)
    lost = [bare(text), bare(text).replace("</think>", "", 1), bare(text).replace("<think>", "", 1)]
    assert kept in [*lost, lost[1].replace("<think>", "", 1)]


@pytest.mark.parametrize(
    ("thinking", "text", "content", "reasoning"),
    [
        (None, "<think>a</think>b", "<think>a</think>b", ""),
        (FREE, "<think>\na\n b\n</think>\n\nc\n", "c\n", "a\n b"),
        (FREE, "\n<think></think>c", "c", ""),
        (FREE, "c <think>a</think>", "c <think>a</think>", ""),
        (FREE, "<thinking>", "<thinking>", ""),
        (FREE, "<think>a </th", "", "a </th"),
        (OPENED, "a</think>c", "c", "a"),
        (OPENED, "<think>\na</think>c</think>", "c</think>", "a"),
        (OPENED, "<b</think>", "", "<b"),
    ],
)
def test_reasoning_comes_first_or_not_at_all(
    thinking: Thinking | None, text: str, content: str, reasoning: str
) -> None:
    """Marks count at the beginning of an answer only; the prompt may have begun the reasoning already."""
    assert read(thinking, [text]) == (content, reasoning, 0)


def test_calls_come_after_reasoning() -> None:
    """What looks like a call inside the reasoning is none; after it there can be some."""
    call = '<tool_call>{"name": "f"}</tool_call>'
    assert read(FREE, [f"<think>{call}</think>{call}"], tools=True) == ("", call, 1)
