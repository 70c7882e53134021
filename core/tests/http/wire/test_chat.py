from __future__ import annotations

from typing import Any

import msgspec
import pytest
from swarmgate.chat import (
    ChatPrompt,
    FunctionCall,
    GenerateRequest,
    Message,
    ModelCard,
    ResponseFormat,
    Tool,
    ToolChoice,
)
from swarmgate.errors import RequestError
from swarmgate.http.wire.asked import Caller, Generating
from swarmgate.http.wire.chat import ChatBody, chat
from swarmgate.http.wire.reading import read

_CARDS = (ModelCard(name="org/model", fingerprint="abcdef0123456789"),)
_CALLER = Caller(id="req_1", tag="tag", created=7, session="")
_HI: list[dict[str, Any]] = [{"role": "user", "content": "hi"}]
_TOOL: dict[str, Any] = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}


def ask(**fields: Any) -> Generating:
    return chat(read(msgspec.json.encode({"messages": _HI, **fields}), ChatBody), _CARDS, _CALLER)


def request(**fields: Any) -> GenerateRequest:
    return ask(**fields).requests[0]


def prompt(**fields: Any) -> ChatPrompt:
    found = request(**fields).prompt
    assert isinstance(found, ChatPrompt)
    return found


def refused(**fields: Any) -> RequestError:
    with pytest.raises(RequestError) as found:
        ask(**fields)
    return found.value


def test_what_is_left_out_keeps_its_default() -> None:
    """A bare request is the words' own defaults, whether fields are missing or null."""
    expected = GenerateRequest(
        id="req_1", model="org/model", prompt=ChatPrompt(messages=(Message(role="user", content="hi"),))
    )
    assert request() == expected
    nulls = dict.fromkeys(
        ("model", "stream", "stop", "n", "temperature", "tools", "tool_choice", "response_format", "logit_bias", "seed")
    )
    assert request(**nulls) == expected


def test_all_sampling_fields_arrive() -> None:
    """Each of the sampling fields reaches the engine under its own name."""
    fields = {
        "temperature": 0.5,
        "top_k": 7,
        "top_p": 0.25,
        "min_p": 0.125,
        "typical_p": 0.75,
        "repeat_penalty": 1.5,
        "repeat_last_n": -1,
        "presence_penalty": -2.0,
        "frequency_penalty": 2.0,
        "seed": 5,
    }
    sampling = request(**fields, logit_bias={"12": -100}).sampling
    assert {name: getattr(sampling, name) for name in fields} == fields
    assert sampling.logit_bias == {12: -100.0}


def test_llama_cpp_spellings_are_understood() -> None:
    """-1 means a fresh seed, no limit, and the whole vocabulary."""
    found = request(seed=-1, max_tokens=-1, top_k=-1)
    assert (found.sampling.seed, found.max_tokens, found.sampling.top_k) == (None, None, 0)


def test_the_newer_limit_wins() -> None:
    """max_completion_tokens counts before max_tokens, and neither overflows an engine."""
    assert request(max_tokens=5).max_tokens == 5
    assert request(max_tokens=5, max_completion_tokens=9).max_tokens == 9
    assert request(max_tokens=2**62).max_tokens == 2**31 - 1


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "robot", "content": ""}]}, "messages[0].role"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].tool_call_id"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "messages[0].content[0]"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages[0].content[0].text"),
        ({"n": 0}, "n"),
        ({"n": 129}, "n"),
        ({"stop": ["a"] * 5}, "stop"),
        ({"temperature": -0.1}, "temperature"),
        ({"top_p": 1.1}, "top_p"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_completion_tokens": 0}, "max_completion_tokens"),
        ({"top_logprobs": 21, "logprobs": True}, "top_logprobs"),
        ({"top_logprobs": 2}, "top_logprobs"),
        ({"logit_bias": {"1": 101}}, "logit_bias[...]"),
        ({"logit_bias": {"a": 1}}, "logit_bias"),
        ({"response_format": {"type": "xml"}}, "response_format.type"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema.schema"),
        ({"tools": [{"type": "function"}]}, "tools[0].function"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tool_choice": {"type": "function", "function": {"name": "see"}}, "tools": [_TOOL]}, "tool_choice"),
        ({"function_call": {"name": "see"}, "functions": [_TOOL["function"]]}, "function_call"),
        ({"model": 3}, "model"),
        ({"model": "other"}, "model"),
        ({"seed": 2**70}, "seed"),
    ],
)
def test_bad_values_name_their_field(fields: dict[str, Any], param: str) -> None:
    """A value that cannot be is refused, and the error says which field it was."""
    assert refused(**fields).param == param


def test_pictures_are_refused_in_plain_words() -> None:
    """A part that is not text is refused by saying what the model reads."""
    error = refused(messages=[{"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}])
    assert "reads text only" in str(error)
    assert error.status == 400


def test_messages_are_translated() -> None:
    """Parts are joined, developer is system, calls and their results keep their ids."""
    call = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"a":1}'}}
    messages = prompt(
        messages=[
            {"role": "developer", "content": [{"type": "text", "text": "be "}, {"type": "text", "text": "kind"}]},
            {"role": "user", "content": "hi", "name": "ann"},
            {"role": "assistant", "content": None, "tool_calls": [call], "reasoning_content": "hm"},
            {"role": "tool", "content": "42", "tool_call_id": "c1"},
        ]
    ).messages
    assert messages == (
        Message(role="system", content="be kind"),
        Message(role="user", content="hi", name="ann"),
        Message(
            role="assistant", reasoning="hm", tool_calls=(FunctionCall(id="c1", name="look", arguments='{"a":1}'),)
        ),
        Message(role="tool", content="42", tool_call_id="c1"),
    )


def test_functions_are_tools_of_old() -> None:
    """functions, function_call and role function mean what tools mean today, one call at a time."""
    found = prompt(
        functions=[_TOOL["function"]],
        function_call={"name": "look"},
        messages=[
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": None, "function_call": {"name": "look", "arguments": "{}"}},
            {"role": "function", "name": "look", "content": "42"},
        ],
    )
    assert found.tools == (Tool(name="look", parameters={"type": "object"}),)
    assert found.tool_choice == ToolChoice(mode="required", name="look")
    assert not found.parallel_tool_calls
    assert found.messages[1].tool_calls == (FunctionCall(id="look", name="look", arguments="{}"),)
    assert found.messages[2] == Message(role="tool", content="42", name="look", tool_call_id="look")


def test_tools_and_their_choice() -> None:
    """A choice is a mode, or a name that must be called."""
    assert prompt(tools=[_TOOL], tool_choice="none").tool_choice == ToolChoice(mode="none")
    assert prompt(tools=[_TOOL], tool_choice="required").tool_choice == ToolChoice(mode="required")
    named = {"type": "function", "function": {"name": "look"}}
    assert prompt(tools=[_TOOL], tool_choice=named).tool_choice == ToolChoice(mode="required", name="look")
    assert not prompt(tools=[_TOOL], parallel_tool_calls=False).parallel_tool_calls


def test_response_formats() -> None:
    """A schema comes OpenAI's way or llama.cpp's."""
    schema = {"type": "object"}
    assert request(response_format={"type": "text"}).response_format == ResponseFormat()
    assert request(response_format={"type": "json_object"}).response_format == ResponseFormat(kind="json_object")
    openai = {"type": "json_schema", "json_schema": {"name": "s", "schema": schema, "strict": True}}
    assert request(response_format=openai).response_format == ResponseFormat(
        kind="json_schema", name="s", schema=schema
    )
    llama = {"type": "json_object", "schema": schema}
    assert request(response_format=llama).response_format == ResponseFormat(kind="json_schema", schema=schema)


def test_choices_differ_in_seed_and_id() -> None:
    """Of n answers each has an id of its own, and the next seed if one was given."""
    seeded = ask(n=3, seed=2**63 - 1).requests
    assert [found.sampling.seed for found in seeded] == [2**63 - 1, 0, 1]
    assert [found.id for found in seeded] == ["req_1", "req_1-1", "req_1-2"]
    assert {found.sampling.seed for found in ask(n=2).requests} == {None}


def test_logprobs_and_extensions() -> None:
    """Logprobs alone asks for the chosen token's only; extensions reach the engine as they are."""
    assert request().logprobs is None
    assert request(logprobs=True).logprobs == 0
    assert request(logprobs=True, top_logprobs=5).logprobs == 5
    found = request(grammar="root ::= x", ignore_eos=True, chat_template_kwargs={"think": False}, stop=["", "a"])
    assert (found.grammar, found.ignore_eos, found.stop) == ("root ::= x", True, ("a",))
    assert isinstance(found.prompt, ChatPrompt)
    assert found.prompt.template_kwargs == {"think": False}
    assert request(user="u").session == "u"
    assert request(user="u", prompt_cache_key="k").session == "k"
