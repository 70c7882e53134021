from __future__ import annotations

from typing import Any

import msgspec
import pytest
from swarmgate.chat import ChatPrompt, Message, ModelCard
from swarmgate.errors import RequestError, UnknownModel, Unsupported
from swarmgate.http.wire.asked import Caller, Generating
from swarmgate.http.wire.responses.asking import ResponseBody, given, response, shortened
from swarmgate.http.wire.responses.items import ItemBody

CARDS = (ModelCard(name="m", aliases=("alias",)),)
CALLER = Caller(id="r", tag="t", created=7, session="")
LOOK = {"type": "function", "name": "look", "description": "Look.", "parameters": {"type": "object"}, "strict": True}
SEE = {"type": "function", "name": "see", "parameters": {}}


def asked(earlier: tuple[ItemBody, ...] = (), **fields: Any) -> Generating:
    body = msgspec.convert({"input": "hi", **fields}, ResponseBody)
    return response(body, given(body), CARDS, CALLER, earlier=earlier)


def prompt(generating: Generating) -> ChatPrompt:
    found = generating.requests[0].prompt
    assert isinstance(found, ChatPrompt)
    return found


def begun(**fields: Any) -> dict[str, Any]:
    return msgspec.json.decode(asked(**fields).form.close())


def test_a_text_is_what_the_user_says() -> None:
    """Instructions come before it, and before what was said earlier."""
    assert prompt(asked(instructions="be brief")).messages == (
        Message(role="system", content="be brief"),
        Message(role="user", content="hi"),
    )
    earlier = (ItemBody(role="user", content="a"), ItemBody(role="assistant", content="b"))
    assert [each.content for each in prompt(asked(earlier, instructions="x")).messages] == ["x", "a", "b", "hi"]


def test_limits_and_dice_are_taken_over() -> None:
    """Under the names that responses have for them, and llama.cpp's beside."""
    request = asked(max_output_tokens=5, temperature=0.5, top_p=0.25, top_k=3, seed=11, user="u").requests[0]
    assert (request.max_tokens, request.session, request.model) == (5, "u", "m")
    drawn = request.sampling
    assert (drawn.temperature, drawn.top_p, drawn.top_k, drawn.seed) == (0.5, 0.25, 3, 11)


def test_what_was_asked_for_is_said_again() -> None:
    """In the response, with what is in force where nothing was said."""
    plain = begun()
    assert plain.items() >= {"temperature": 0.8, "tool_choice": "auto", "tools": [], "truncation": "disabled"}.items()
    assert (plain["id"], plain["created_at"], plain["model"], plain["store"]) == ("resp_t", 7, "m", False)
    assert plain["text"] == {"format": {"type": "text"}, "verbosity": None}
    told = begun(
        model="alias",
        tools=[LOOK],
        tool_choice={"type": "function", "name": "look"},
        metadata={"a": "b"},
        instructions="x",
        max_output_tokens=9,
        reasoning={"effort": "low"},
        text={"format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}}, "verbosity": "low"},
        previous_response_id="resp_0",
        parallel_tool_calls=False,
    )
    assert told["model"] == "alias"
    assert told["tools"] == [LOOK]
    assert told["tool_choice"] == {"type": "function", "name": "look"}
    assert told["text"]["format"] == {"type": "json_schema", "name": "n", "schema": {"type": "object"}}
    assert told["reasoning"] == {"effort": "low", "summary": None}
    assert (told["metadata"], told["instructions"], told["max_output_tokens"]) == ({"a": "b"}, "x", 9)
    assert (told["previous_response_id"], told["parallel_tool_calls"]) == ("resp_0", False)


@pytest.mark.parametrize(
    ("wanted", "mode", "name", "offered"),
    [
        (None, "auto", None, ["look", "see"]),
        ("none", "none", None, ["look", "see"]),
        ("required", "required", None, ["look", "see"]),
        ({"type": "function", "name": "see"}, "required", "see", ["look", "see"]),
        (
            {"type": "allowed_tools", "mode": "auto", "tools": [{"name": "see"}]},
            "auto",
            None,
            ["see"],
        ),
        ({"type": "allowed_tools", "mode": "required", "tools": [{"name": "look"}]}, "required", None, ["look"]),
    ],
)
def test_what_may_be_called(wanted: Any, mode: str, name: str | None, offered: list[str]) -> None:
    """All of the tools, those that are allowed, or the one that is named."""
    found = prompt(asked(tools=[LOOK, SEE], tool_choice=wanted))
    assert (found.tool_choice.mode, found.tool_choice.name) == (mode, name)
    assert [each.name for each in found.tools] == offered
    assert found.tools[-1].strict is (found.tools[-1].name == "look")


def test_text_may_have_a_form() -> None:
    """A schema, or any object."""
    schema = asked(text={"format": {"type": "json_schema", "name": "n", "schema": {"a": 1}}}).requests[0]
    assert (schema.response_format.kind, schema.response_format.name) == ("json_schema", "n")
    assert schema.response_format.schema == {"a": 1}
    assert asked(text={"format": {"type": "json_object"}}).requests[0].response_format.kind == "json_object"
    assert asked(text={"verbosity": "low"}).requests[0].response_format.kind == "text"


def test_logprobs_are_asked_for_in_two_ways() -> None:
    """By what is to be included, or by how many of the likeliest ones."""
    included = ["message.output_text.logprobs", "reasoning.encrypted_content"]
    assert asked(include=included).requests[0].logprobs == 0
    assert asked(include=included, top_logprobs=2).requests[0].logprobs == 2
    assert asked(top_logprobs=2).requests[0].logprobs == 2
    assert asked(include=included[1:]).requests[0].logprobs is None


def test_effort_is_told_to_the_template() -> None:
    """In the words that models' templates know; what is given under llama.cpp's name counts more."""
    assert prompt(asked(reasoning={"effort": "high"})).template_kwargs == {"reasoning_effort": "high"}
    assert prompt(asked(reasoning={"effort": "none"})).template_kwargs == {"enable_thinking": False}
    both = asked(reasoning={"effort": "none"}, chat_template_kwargs={"enable_thinking": True})
    assert prompt(both).template_kwargs == {"enable_thinking": True}
    assert prompt(asked()).template_kwargs == {}


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"background": True}, "background"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"prompt": {"id": "pmpt_1"}}, "prompt"),
        ({"tools": [LOOK, {"type": "web_search"}]}, "tools[1].type"),
        ({"tools": [{"type": "mcp", "server_label": "x"}]}, "tools[0].type"),
        ({"tools": [LOOK], "tool_choice": {"type": "file_search"}}, "tool_choice.type"),
    ],
)
def test_what_openais_machines_do_is_refused(fields: dict[str, Any], param: str) -> None:
    """By the name of the field, never silently."""
    with pytest.raises(Unsupported) as found:
        asked(**fields)
    assert found.value.param == param


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"input": None}, "input"),
        ({"input": []}, "input"),
        ({"tools": [{"type": "function"}]}, "tools[0].name"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tools": [LOOK], "tool_choice": {"type": "function", "name": "see"}}, "tool_choice.name"),
        ({"text": {"format": {"type": "json_schema", "name": "n"}}}, "text.format.schema"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
    ],
)
def test_contradictions_are_named(fields: dict[str, Any], param: str) -> None:
    """The error leads to the field."""
    with pytest.raises(RequestError) as found:
        asked(**fields)
    assert found.value.param == param


def test_the_model_has_to_be_there() -> None:
    """An unknown name is refused as elsewhere."""
    with pytest.raises(UnknownModel):
        asked(model="other")


def test_a_stream_tells_of_failures_itself() -> None:
    """Since what it says then depends on what came before; a document needs none."""
    assert asked(stream=True).failure is not None
    assert asked().failure is None


def test_a_conversation_can_be_shortened() -> None:
    """By its older half and more, down to the last thing the user said; instructions stay."""
    said = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}] * 3 + [
        {"role": "user", "content": "c"},
        {"type": "function_call", "call_id": "1", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "1", "output": "d"},
    ]
    found = asked(input=said, instructions="x")
    lengths: list[int] = []
    shorter: Generating | None = found
    while shorter is not None:
        messages = prompt(shorter).messages
        lengths.append(len(messages))
        assert (messages[0].content, messages[1].role, messages[-1].content) == ("x", "user", "d")
        assert shorter.form is found.form
        shorter = shortened(shorter)
    assert lengths == [10, 6, 4]
    assert shortened(asked()) is None
