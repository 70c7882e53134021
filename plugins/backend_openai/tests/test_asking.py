from __future__ import annotations

import json
from typing import Any

import pytest
from swarmgate.api import (
    ChatPrompt,
    EmbedRequest,
    FunctionCall,
    GenerateRequest,
    Message,
    ResponseFormat,
    Resume,
    Sampling,
    TextPrompt,
    TokenPrompt,
    Tool,
    ToolChoice,
)
from swarmgate.testing import a_request
from swarmgate_backend_openai.asking import layout_wanted, question, vectors_wanted


def asked(request: GenerateRequest, fingerprint: str | None = None) -> tuple[str, dict[str, Any]]:
    path, body = question(request, "there", fingerprint=fingerprint)
    return path, json.loads(body)


def test_a_chat_streams_with_usage_under_the_servers_own_name() -> None:
    """What every answer needs is always asked for."""
    path, body = asked(a_request("hi", model="here", max_tokens=5, stop=("a",)))
    assert path == "/v1/chat/completions"
    assert body["model"] == "there"
    assert body["messages"] == [{"role": "user", "content": "hi"}]
    assert (body["stream"], body["stream_options"]) == (True, {"include_usage": True})
    assert (body["max_tokens"], body["stop"], body["temperature"], body["seed"]) == (5, ["a"], 0.0, 0)


def test_plain_servers_are_spared_what_they_need_not_know() -> None:
    """Fields beyond OpenAI's are sent only where they say something, and the tokens never."""
    request = a_request(sampling=Sampling(top_k=7), resume=Resume(token_ids=(1,), seed=2))
    _, body = asked(request)
    assert body["top_k"] == 7
    assert not {"min_p", "typical_p", "repeat_penalty", "resume", "grammar", "ignore_eos", "seed"} & body.keys()


def test_gateways_are_told_everything() -> None:
    """All sampling fields, and what is out already with the weights that wrote it."""
    _, body = asked(a_request(resume=Resume(token_ids=(1, 2), seed=9)), fingerprint="f")
    assert body["resume"] == {"token_ids": [1, 2], "seed": 9, "fingerprint": "f"}
    assert {"top_k", "min_p", "typical_p", "repeat_penalty", "repeat_last_n"} <= body.keys()


@pytest.mark.parametrize(
    ("prompt", "sent"),
    [
        (TextPrompt(text="Once"), {"prompt": "Once"}),
        (TextPrompt(text="a", suffix="c"), {"prompt": "a", "suffix": "c"}),
        (TokenPrompt(ids=(1, 2)), {"prompt": [1, 2]}),
    ],
)
def test_texts_and_tokens_are_completed(prompt: TextPrompt | TokenPrompt, sent: dict[str, Any]) -> None:
    """Prompts that are no chats go to the other path."""
    path, body = asked(a_request(prompt=prompt, logprobs=3))
    assert path == "/v1/completions"
    assert body | sent == body
    assert body["logprobs"] == 3


def test_a_conversation_with_tools_comes_through() -> None:
    """Calls made, their results, thoughts, and what may be called now."""
    messages = (
        Message(role="assistant", reasoning="hm", tool_calls=(FunctionCall(id="c1", name="f", arguments="{}"),)),
        Message(role="tool", content="7", tool_call_id="c1", name="f"),
    )
    prompt = ChatPrompt(
        messages=messages,
        tools=(Tool(name="f", strict=True),),
        tool_choice=ToolChoice(mode="required", name="f"),
        parallel_tool_calls=False,
        template_kwargs={"think": False},
    )
    _, body = asked(a_request(prompt=prompt, logprobs=0))
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    assert body["messages"] == [
        {"role": "assistant", "content": None, "reasoning_content": "hm", "tool_calls": [call]},
        {"role": "tool", "content": "7", "name": "f", "tool_call_id": "c1"},
    ]
    assert body["tools"][0]["function"] == {"name": "f", "description": "", "parameters": {}, "strict": True}
    assert body["tool_choice"] == {"type": "function", "function": {"name": "f"}}
    assert (body["parallel_tool_calls"], body["chat_template_kwargs"]) == (False, {"think": False})
    assert (body["logprobs"], body["top_logprobs"]) == (True, 0)


def test_the_form_of_the_text_comes_through() -> None:
    """A schema has a name, which OpenAI insists on; grammars and biases are llama.cpp's and OpenAI's own."""
    form = ResponseFormat(kind="json_schema", schema={"type": "object"})
    _, body = asked(a_request(response_format=form, ignore_eos=True, sampling=Sampling(logit_bias={5: -100.0})))
    assert body["response_format"]["json_schema"] == {"name": "answer", "schema": {"type": "object"}, "strict": True}
    assert (body["ignore_eos"], body["logit_bias"]) == (True, {"5": -100.0})
    _, body = asked(a_request(response_format=ResponseFormat(kind="json_object"), grammar="root ::= x"))
    assert (body["response_format"], body["grammar"]) == ({"type": "json_object"}, "root ::= x")


def test_vectors_are_asked_for_in_one_piece() -> None:
    """Texts and tokens alike, as base64, with the length that is wanted."""
    request = EmbedRequest(id="e", model="m", inputs=("a", (1, 2)), dimensions=4)
    body = json.loads(vectors_wanted(request, "there"))
    assert body == {"model": "there", "input": ["a", [1, 2]], "encoding_format": "base64", "dimensions": 4}


def test_how_a_chat_is_read_is_asked_with_its_tools() -> None:
    """Those that may be called: where none may, none is shown."""
    chat = ChatPrompt(messages=(Message(role="user", content="hi"),), tools=(Tool(name="f"),))
    shown = json.loads(layout_wanted(chat, "there"))
    assert (shown["model"], shown["messages"]) == ("there", [{"role": "user", "content": "hi"}])
    assert [tool["function"]["name"] for tool in shown["tools"]] == ["f"]
    hidden = ChatPrompt(messages=chat.messages, tools=chat.tools, tool_choice=ToolChoice(mode="none"))
    assert "tools" not in json.loads(layout_wanted(hidden, "there"))
