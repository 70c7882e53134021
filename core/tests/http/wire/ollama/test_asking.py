from __future__ import annotations

from typing import Any

import msgspec
import pytest
from swarmgate.chat import ChatPrompt, GenerateRequest, Message, ModelCard, ResponseFormat, Sampling, TextPrompt, Tool
from swarmgate.errors import RequestError, UnknownModel, Unsupported
from swarmgate.http.wire.asked import Caller, Generating
from swarmgate.http.wire.ollama.asking import ChatLinesBody, GenerateLinesBody, chat, generate
from swarmgate.http.wire.reading import ignored, read

_CARDS = (ModelCard(name="m"),)
_CALLER = Caller(id="r", tag="t", created=7, session="s")
_HI = [{"role": "user", "content": "hi"}]


def clock() -> float:
    return 0.0


def chatted(**fields: Any) -> Generating | None:
    body = {"model": "m:latest", "messages": _HI, **fields}
    return chat(read(msgspec.json.encode(body), ChatLinesBody), _CARDS, _CALLER, clock)


def generated(**fields: Any) -> Generating | None:
    body = {"model": "m", "prompt": "hi", **fields}
    return generate(read(msgspec.json.encode(body), GenerateLinesBody), _CARDS, _CALLER, clock)


def only(asked: Generating | None) -> GenerateRequest:
    assert asked is not None
    (request,) = asked.requests
    return request


def test_a_chat_streams_unless_told_not_to() -> None:
    """As Ollama's own does."""
    for stream, streams in ((None, True), (True, True), (False, False)):
        asked = chatted(stream=stream)
        assert asked is not None
        assert asked.stream is streams


def test_a_chat_has_what_it_says() -> None:
    """Under the model's own name."""
    request = only(
        chatted(
            tools=[{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
            think=False,
            format="json",
            options={"temperature": 0, "num_predict": 5, "stop": ["END"], "num_ctx": 4096},
            logprobs=True,
            top_logprobs=2,
        )
    )
    assert (request.id, request.model, request.session) == ("r", "m", "s")
    assert request.prompt == ChatPrompt(
        messages=(Message(role="user", content="hi"),),
        tools=(Tool(name="f", parameters={"type": "object"}),),
        template_kwargs={"enable_thinking": False},
    )
    assert (request.sampling, request.max_tokens, request.stop) == (Sampling(temperature=0), 5, ("END",))
    assert (request.response_format, request.logprobs) == (ResponseFormat(kind="json_object"), 2)


def test_a_text_is_a_chat_of_one_message() -> None:
    """With its system message, unless it is raw or has a hole to fill."""
    assert only(generated()).prompt == ChatPrompt(messages=(Message(role="user", content="hi"),))
    system = Message(role="system", content="Be brief.")
    assert only(generated(system="Be brief.")).prompt == ChatPrompt(
        messages=(system, Message(role="user", content="hi"))
    )
    assert only(generated(raw=True)).prompt == TextPrompt(text="hi")
    assert only(generated(suffix="end")).prompt == TextPrompt(text="hi", suffix="end")


def test_nothing_to_answer_is_nothing_to_ask() -> None:
    """It only wants the model, which has to be known all the same."""
    assert chatted(messages=[]) is None
    assert chatted(messages=None) is None
    assert generated(prompt="") is None
    assert generated(prompt=None, keep_alive=0) is None
    with pytest.raises(UnknownModel):
        chatted(model="other", messages=[])


@pytest.mark.parametrize(
    ("fields", "error", "param"),
    [
        ({"images": ["aGk="]}, Unsupported, "images"),
        ({"template": "{{ .Prompt }}"}, Unsupported, "template"),
        ({"context": [1, 2]}, Unsupported, "context"),
        ({"raw": True, "system": "x"}, RequestError, "system"),
    ],
)
def test_what_is_not_done_is_refused_by_name(fields: dict[str, Any], error: type[RequestError], param: str) -> None:
    """Rather than left out in silence."""
    with pytest.raises(error) as caught:
        generated(**fields)
    assert caught.value.param == param


def test_options_without_use_are_named() -> None:
    """Those that concern loading, and those that nobody knows."""
    body = msgspec.json.encode(
        {"model": "m", "options": {"num_ctx": 1, "temperature": 0, "strange": 1}, "keep_alive": "5m", "truncate": True}
    )
    assert ignored(body, ChatLinesBody) == ("truncate", "options.num_ctx", "options.strange")
    assert ignored(b'{"model":"m","options":null}', ChatLinesBody) == ()


def test_wrong_options_are_named_by_their_path() -> None:
    """As all fields are."""
    with pytest.raises(RequestError) as caught:
        chatted(options={"temperature": "hot"})
    assert caught.value.param == "options.temperature"
