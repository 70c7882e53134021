from __future__ import annotations

from typing import Any

import msgspec
import pytest
from swarmgate.chat import FunctionCall, Message
from swarmgate.errors import RequestError, Unsupported
from swarmgate.http.wire.anthropic.conversation import Block, Turn, conversation
from swarmgate.http.wire.anthropic.thinking import signature

_TEXT = {"type": "text", "text": "hi"}


def said(*turns: tuple[str, object], system: object = None) -> tuple[Message, ...]:
    blocks = msgspec.convert(system, str | list[Block] | None)
    return conversation(
        blocks, msgspec.convert([{"role": role, "content": content} for role, content in turns], list[Turn])
    )


def test_text_and_blocks_are_the_same() -> None:
    """Blocks of text are paragraphs; what they are cached by does not matter."""
    cached = {**_TEXT, "cache_control": {"type": "ephemeral", "ttl": "1h"}}
    assert said(("user", "hi")) == said(("user", [_TEXT])) == (Message(role="user", content="hi"),)
    assert said(("user", [cached, {"type": "text", "text": "you"}])) == (Message(role="user", content="hi\n\nyou"),)
    system = Message(role="system", content="Be brief.\n\nBe kind.")
    blocks = [{"type": "text", "text": "Be brief."}, {"type": "text", "text": "Be kind.", "cache_control": None}]
    assert said(("user", "hi"), system=blocks)[0] == system
    assert said(("user", "hi"), system="Be brief.\n\nBe kind.")[0] == system


def test_a_call_and_its_result_are_told_apart_from_text() -> None:
    """Results come before what the user says besides; that one failed is said in words."""
    call = {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"at": "sky"}}
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": [{"type": "text", "text": "blue"}]}
    failed = {"type": "tool_result", "tool_use_id": "toolu_2", "content": "no eyes", "is_error": True}
    empty = {"type": "tool_result", "tool_use_id": "toolu_3"}
    found = said(("user", "look"), ("assistant", [_TEXT, call]), ("user", [_TEXT, result, failed, empty]))
    assert found[1:] == (
        Message(
            role="assistant",
            content="hi",
            tool_calls=(FunctionCall(id="toolu_1", name="look", arguments='{"at":"sky"}'),),
        ),
        Message(role="tool", content="blue", tool_call_id="toolu_1"),
        Message(role="tool", content="Error: no eyes", tool_call_id="toolu_2"),
        Message(role="tool", content="", tool_call_id="toolu_3"),
        Message(role="user", content="hi"),
    )


def test_thoughts_come_back() -> None:
    """Those that were shown, and those that a signature carries; redacted ones nobody here can read."""
    blocks = [
        {"type": "thinking", "thinking": "hm", "signature": "x"},
        {"type": "redacted_thinking", "data": "abc"},
        {"type": "thinking", "thinking": "", "signature": signature("so", shown=False)},
        _TEXT,
    ]
    assert said(("assistant", blocks), ("user", "and?"))[0] == Message(
        role="assistant", content="hi", reasoning="hm\n\nso"
    )


def test_turns_of_one_side_are_one() -> None:
    """As Anthropic has it, and as templates want it; system turns may stand between."""
    found = said(
        ("user", "a"), ("user", [_TEXT]), ("assistant", "b"), ("assistant", "c"), ("system", "d"), ("user", "e")
    )
    assert [(message.role, message.content) for message in found] == [
        ("user", "a\n\nhi"),
        ("assistant", "b\n\nc"),
        ("system", "d"),
        ("user", "e"),
    ]


@pytest.mark.parametrize(
    ("content", "param", "what"),
    [
        ([_TEXT, {"type": "image", "source": {}}], "messages[0].content[1]", "'image'"),
        ([{"type": "document", "source": {}}], "messages[0].content[0]", "'document'"),
        (
            [{"type": "tool_result", "tool_use_id": "t", "content": [{"type": "image"}]}],
            "messages[0].content[0].content[0]",
            "'image'",
        ),
    ],
)
def test_what_is_no_text_is_refused_by_name(content: object, param: str, what: str) -> None:
    """The message says which block, and what to do."""
    with pytest.raises(Unsupported, match=f"reads text only, found a block of type {what}; leave it out") as caught:
        said(("user", content))
    assert caught.value.param == param


@pytest.mark.parametrize(
    ("role", "block", "param"),
    [
        ("user", {"type": "text"}, "messages[0].content[0].text"),
        ("user", {"type": "tool_result"}, "messages[0].content[0].tool_use_id"),
        ("assistant", {"type": "tool_use", "name": "f"}, "messages[0].content[0].id"),
        ("assistant", {"type": "tool_use", "id": "t"}, "messages[0].content[0].name"),
    ],
)
def test_what_is_missing_is_named(role: str, block: dict[str, Any], param: str) -> None:
    """By its path in the request."""
    with pytest.raises(RequestError, match="required, but missing") as caught:
        said((role, [block]), ("user", "x"))
    assert caught.value.param == param


def test_begun_answers_are_refused() -> None:
    """The model would not go on with them but begin anew, which nobody asked for."""
    with pytest.raises(RequestError, match="does not go on with an answer that the client began") as caught:
        said(("user", "a"), ("assistant", "The answer is ("))
    assert caught.value.param == "messages[1]"
