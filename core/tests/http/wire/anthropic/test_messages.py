from __future__ import annotations

from typing import Any

import msgspec
import pytest
from swarmgate.chat import ChatPrompt, Message, ModelCard, ResponseFormat, Sampling, TokenizeRequest, Tool, ToolChoice
from swarmgate.errors import RequestError, UnknownModel
from swarmgate.http.wire.anthropic.forms import MessageEvents, MessageWhole
from swarmgate.http.wire.anthropic.messages import CountBody, MessagesBody, count_document, counting, messages
from swarmgate.http.wire.asked import Caller, Generating
from swarmgate.http.wire.reading import ignored, read

_CARDS = (ModelCard(name="m", aliases=("claude-sonnet-4-5",)), ModelCard(name="other"))
_CALLER = Caller(id="r", tag="t", created=7)
_HI = [{"role": "user", "content": "hi"}]


def ask(**fields: Any) -> Generating:
    body = {"model": "m", "max_tokens": 9, "messages": _HI, **fields}
    return messages(read(msgspec.json.encode(body), MessagesBody), _CARDS, _CALLER)


def prompt(**fields: Any) -> ChatPrompt:
    (request,) = ask(**fields).requests
    assert isinstance(request.prompt, ChatPrompt)
    return request.prompt


def test_a_plain_request_has_what_it_says() -> None:
    """The rest is as everywhere."""
    asked = ask()
    (request,) = asked.requests
    assert (request.id, request.model, request.max_tokens, request.stop) == ("r", "m", 9, ())
    assert request.prompt == ChatPrompt(messages=(Message(role="user", content="hi"),))
    assert request.sampling == Sampling()
    assert (asked.stream, type(asked.form)) == (False, MessageWhole)
    assert type(ask(stream=True).form) is MessageEvents


def test_sampling_and_limits_are_translated() -> None:
    """With the names that Anthropic has for them; numbers no engine can hold mean no limit."""
    (request,) = ask(
        temperature=0, top_p=0.5, top_k=2**40, max_tokens=2**40, stop_sequences=["END", ""], metadata={"user_id": "u"}
    ).requests
    assert request.sampling == Sampling(temperature=0, top_p=0.5, top_k=2**31 - 1)
    assert (request.stop, request.session, request.max_tokens) == (("END",), "u", 2**31 - 1)


def test_a_model_may_have_another_name() -> None:
    """An alias works, and comes back; what nobody serves is not found."""
    assert ask(model="claude-sonnet-4-5").requests[0].model == "claude-sonnet-4-5"
    with pytest.raises(UnknownModel, match="served here: 'm', 'other'"):
        ask(model="claude-opus-4")


def test_tools_and_choices_are_translated() -> None:
    """One call at a time is what disables parallel ones."""
    tool = {"name": "f", "input_schema": {"type": "object"}}
    found = prompt(tools=[tool], tool_choice={"type": "any", "disable_parallel_tool_use": True})
    assert found.tools == (Tool(name="f", parameters={"type": "object"}),)
    assert (found.tool_choice, found.parallel_tool_calls) == (ToolChoice(mode="required"), False)
    assert prompt(tools=[tool]).parallel_tool_calls


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({}, {}),
        ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, {"enable_thinking": True}),
        ({"thinking": {"type": "adaptive", "display": "omitted"}}, {"enable_thinking": True}),
        ({"thinking": {"type": "disabled"}}, {"enable_thinking": False}),
        ({"output_config": {"effort": "low"}}, {"reasoning_effort": "low"}),
        ({"output_config": {"effort": "max"}}, {"reasoning_effort": "high"}),
    ],
)
def test_templates_are_told_of_thinking(fields: dict[str, Any], told: dict[str, Any]) -> None:
    """Only where the client says something: other servers may refuse what they do not know."""
    assert prompt(**fields).template_kwargs == told


def test_text_may_have_to_obey_a_schema() -> None:
    """As Anthropic's structured outputs do."""
    schema = {"type": "object"}
    (request,) = ask(output_config={"format": {"type": "json_schema", "schema": schema}}).requests
    assert request.response_format == ResponseFormat(kind="json_schema", schema=schema)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"max_tokens": 0}, "max_tokens"),
        ({"messages": []}, "messages"),
        ({"temperature": -1}, "temperature"),
        ({"thinking": {"type": "loud"}}, "thinking.type"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].role"),
    ],
)
def test_wrong_values_are_named(fields: dict[str, Any], param: str) -> None:
    """By their path."""
    with pytest.raises(RequestError) as caught:
        ask(**fields)
    assert caught.value.param == param


@pytest.mark.parametrize("field", ["model", "max_tokens", "messages"])
def test_what_anthropic_requires_is_required(field: str) -> None:
    """A request without it is refused with its name."""
    body = {"model": "m", "max_tokens": 9, "messages": _HI}
    del body[field]
    with pytest.raises(RequestError, match=f"{field}: required, but missing"):
        read(msgspec.json.encode(body), MessagesBody)


def test_fields_without_use_are_named() -> None:
    """Caching is none of them: it needs no asking."""
    body = msgspec.json.encode({"model": "m", "cache_control": {"type": "ephemeral"}, "service_tier": "auto"})
    assert ignored(body, MessagesBody) == ("service_tier",)


def test_a_count_is_of_the_same_chat() -> None:
    """What would be asked is what is counted."""
    fields = {"model": "claude-sonnet-4-5", "system": "Be brief.", "messages": _HI, "thinking": {"type": "disabled"}}
    found = counting(read(msgspec.json.encode(fields), CountBody), _CARDS)
    assert found == TokenizeRequest(model="m", chat=prompt(**fields))
    assert count_document(7) == b'{"input_tokens":7}'
