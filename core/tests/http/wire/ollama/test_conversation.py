from __future__ import annotations

from typing import Any

import msgspec
import pytest
from swarmgate.chat import FunctionCall, Message
from swarmgate.errors import Unsupported
from swarmgate.http.wire.ollama.conversation import PastMessage, conversation


def said(*messages: dict[str, Any]) -> tuple[Message, ...]:
    return conversation(msgspec.convert(list(messages), list[PastMessage]))


def calling(*names: str, ids: bool = False) -> dict[str, Any]:
    calls = [
        {"function": {"name": name, "arguments": {"a": 1}}, **({"id": f"id-{name}"} if ids else {})} for name in names
    ]
    return {"role": "assistant", "content": "", "thinking": "hm", "tool_calls": calls}


def test_messages_are_as_everywhere() -> None:
    """With what was thought."""
    assert said(
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": "ho", "thinking": "hm"},
    ) == (
        Message(role="system", content="Be brief."),
        Message(role="user", content="hi"),
        Message(role="assistant", content="ho", reasoning="hm"),
    )


def test_results_without_ids_find_their_calls() -> None:
    """By the tool's name, those of one name in order; without a name the first that waits."""
    found = said(
        calling("look", "see", "look"),
        {"role": "tool", "tool_name": "see", "content": "a"},
        {"role": "tool", "tool_name": "look", "content": "b"},
        {"role": "tool", "content": "c"},
        {"role": "tool", "tool_name": "other", "content": "d"},
    )
    ids = [call.id for call in found[0].tool_calls]
    assert len(set(ids)) == 3
    assert found[0].tool_calls[0] == FunctionCall(id=ids[0], name="look", arguments='{"a":1}')
    assert [message.tool_call_id for message in found[1:]] == [ids[1], ids[0], ids[2], "other"]
    assert found[1].name == "see"


def test_results_with_ids_are_theirs() -> None:
    """And leave the other calls to others."""
    found = said(
        calling("look", "see", ids=True),
        {"role": "tool", "tool_call_id": "id-look", "content": "a"},
        {"role": "tool", "content": "b"},
    )
    assert [message.tool_call_id for message in found[1:]] == ["id-look", "id-see"]


def test_pictures_are_refused_by_name() -> None:
    """None at all is no picture."""
    assert said({"role": "user", "content": "hi", "images": []})[0].content == "hi"
    with pytest.raises(Unsupported, match=r"messages\[1\]\.images: .* text only, found 1 images; leave them out"):
        said({"role": "user", "content": "hi"}, {"role": "user", "content": "look", "images": ["aGk="]})
