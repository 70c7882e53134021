from __future__ import annotations

from typing import Any

import msgspec
import pytest
from swarmgate.chat import FunctionCall, Message
from swarmgate.errors import RequestError, Unsupported
from swarmgate.http.wire.responses.items import ItemBody, messages, named, resolved


def items(*given: dict[str, Any]) -> list[ItemBody]:
    return msgspec.convert(list(given), list[ItemBody])


def call(name: str, number: int) -> dict[str, Any]:
    return {"type": "function_call", "id": f"fc_{number}", "call_id": f"c{number}", "name": name, "arguments": "{}"}


def test_messages_are_messages() -> None:
    """With or without their type, as text or in parts; the developer's are the system's."""
    found = messages(
        items(
            {"role": "developer", "content": "be brief"},
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "a"}]},
            {"role": "assistant", "content": [{"type": "output_text", "text": "b", "annotations": []}]},
            {"role": "user", "content": "c"},
        )
    )
    assert [(each.role, each.content) for each in found] == [
        ("system", "be brief"),
        ("user", "a"),
        ("assistant", "b"),
        ("user", "c"),
    ]


def test_a_turn_of_the_model_is_one_message() -> None:
    """Thoughts, text and calls that follow one another; what came of the calls comes after them."""
    found = messages(
        items(
            {"role": "user", "content": "q"},
            {"type": "reasoning", "id": "rs_1", "summary": [], "content": [{"type": "reasoning_text", "text": "hm"}]},
            {"type": "message", "role": "assistant", "content": "let me see"},
            call("look", 1),
            call("see", 2),
            {"type": "function_call_output", "call_id": "c1", "output": "one"},
            {"type": "function_call_output", "call_id": "c2", "output": [{"type": "input_text", "text": "two"}]},
        )
    )
    calls = (FunctionCall(id="c1", name="look", arguments="{}"), FunctionCall(id="c2", name="see", arguments="{}"))
    assert found[1] == Message(role="assistant", content="let me see", reasoning="hm", tool_calls=calls)
    assert [(each.role, each.content, each.tool_call_id) for each in found[2:]] == [
        ("tool", "one", "c1"),
        ("tool", "two", "c2"),
    ]


def test_two_turns_of_the_model_stay_two() -> None:
    """A second text, or thoughts after a text, begin another message."""
    two = messages(items({"role": "assistant", "content": "a"}, {"role": "assistant", "content": "b"}))
    assert [each.content for each in two] == ["a", "b"]
    thoughts = {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]}
    again = messages(items({"role": "assistant", "content": "a"}, thoughts, call("look", 1)))
    assert [(each.content, each.reasoning, len(each.tool_calls)) for each in again] == [("a", None, 0), ("", "hm", 1)]


def test_thoughts_may_be_in_pieces_or_hidden() -> None:
    """Several are joined; one whose text is encrypted for OpenAI says nothing."""
    hidden = {"type": "reasoning", "summary": [], "encrypted_content": "x", "id": "rs_2"}
    shown = [{"type": "reasoning", "content": [{"type": "reasoning_text", "text": text}]} for text in ("a", "b")]
    found = messages(items(*shown, hidden, {"role": "assistant", "content": "c"}))
    assert [(each.content, each.reasoning) for each in found] == [("c", "a\nb")]
    assert messages(items(hidden)) == ()


@pytest.mark.parametrize(
    ("item", "param"),
    [
        ({"role": "user"}, "input[0].content"),
        ({"role": "nobody", "content": "x"}, "input[0].role"),
        ({"type": "message", "content": "x"}, "input[0].role"),
        ({"type": "function_call", "call_id": "c"}, "input[0].name"),
        ({"type": "function_call", "name": "f"}, "input[0].call_id"),
        ({"type": "function_call_output", "call_id": "c"}, "input[0].output"),
        ({"type": "function_call_output", "output": "x"}, "input[0].call_id"),
        ({"role": "user", "content": [{"type": "input_image"}]}, "input[0].content[0]"),
        ({"role": "user", "content": [{"type": "input_text"}]}, "input[0].content[0].text"),
    ],
)
def test_what_is_missing_is_named(item: dict[str, Any], param: str) -> None:
    """The error leads to the field."""
    with pytest.raises(RequestError) as found:
        messages(items(item))
    assert found.value.param == param
    assert str(found.value).startswith(param)


def test_references_are_resolved() -> None:
    """An item may be named instead of sent, with its type or with nothing but its id."""
    kept = ItemBody(id="msg_1", role="assistant", content="a")
    given = items({"type": "item_reference", "id": "msg_1"}, {"id": "msg_1"}, {"role": "user", "content": "b"})
    found = resolved(given, {"msg_1": kept}.get)
    assert [each.content for each in found] == ["a", "a", "b"]
    with pytest.raises(RequestError, match="send the item itself") as missing:
        resolved(given, lambda _: None)
    assert missing.value.param == "input[0].id"


def test_items_of_openais_own_machines_are_refused() -> None:
    """By their name."""
    with pytest.raises(Unsupported, match="'web_search_call'") as found:
        resolved(items({"role": "user", "content": "x"}, {"type": "web_search_call", "id": "ws"}), lambda _: None)
    assert found.value.param == "input[1].type"


def test_each_item_gets_an_id() -> None:
    """Its own if it has one, else one that says what it is."""
    given = items(
        {"role": "user", "content": "x", "id": "mine"},
        {"role": "user", "content": "y"},
        {"type": "function_call_output", "call_id": "c", "output": ""},
    )
    assert [item.id for item in named(given, "t")] == ["mine", "msg_t_i1", "fco_t_i2"]
