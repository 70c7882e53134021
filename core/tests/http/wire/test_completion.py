from __future__ import annotations

from typing import Any

import msgspec
import pytest
from swarmgate.chat import Delta, ModelCard, TextPrompt, TokenLogprob, TokenPrompt, Usage
from swarmgate.errors import RequestError
from swarmgate.http.wire.asked import Caller, Generating
from swarmgate.http.wire.completion import CompletionBody, completion
from swarmgate.http.wire.completion_forms import Completion, CompletionChunk
from swarmgate.http.wire.reading import read

_CARDS = (ModelCard(name="m"),)
_END = Delta(finish="stop", usage=Usage(prompt_tokens=2, completion_tokens=1))


def ask(**fields: Any) -> Generating:
    body = read(msgspec.json.encode(fields), CompletionBody)
    return completion(body, _CARDS, Caller(id="req_1", tag="tag", created=7))


def whole(asked: Generating, *deltas: Delta) -> dict[str, Any]:
    for delta in deltas:
        assert asked.form.take(0, delta) == b""
    document = asked.form.close()
    msgspec.json.decode(document, type=Completion)
    return msgspec.json.decode(document)


def streamed(asked: Generating, *deltas: Delta) -> list[dict[str, Any]]:
    stream = b"".join(asked.form.take(0, delta) for delta in deltas) + asked.form.close()
    *chunks, done, rest = stream.split(b"\n\n")
    assert (done, rest) == (b"data: [DONE]", b"")
    for chunk in chunks:
        msgspec.json.decode(chunk.removeprefix(b"data: "), type=CompletionChunk)  # as it is documented
    return [msgspec.json.decode(chunk.removeprefix(b"data: ")) for chunk in chunks]


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("a", [TextPrompt(text="a")]),
        (["a", "b"], [TextPrompt(text="a"), TextPrompt(text="b")]),
        ([1, 2], [TokenPrompt(ids=(1, 2))]),
        ([[1], [2, 3]], [TokenPrompt(ids=(1,)), TokenPrompt(ids=(2, 3))]),
    ],
)
def test_a_prompt_comes_in_four_forms(prompt: object, expected: list[object]) -> None:
    """Text, texts, token ids and lists of token ids each make their prompts."""
    assert [request.prompt for request in ask(prompt=prompt).requests] == expected


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({}, "prompt"),
        ({"prompt": []}, "prompt"),
        ({"prompt": [[]]}, "prompt[0]"),
        ({"prompt": ["a", 1]}, "prompt[1]"),
        ({"prompt": [1, "a"]}, "prompt[1]"),
        ({"prompt": [[1], [2, -3]]}, "prompt[1][1]"),
        ({"prompt": [2**31]}, "prompt[0]"),
        ({"prompt": [1], "suffix": "x"}, "suffix"),
        ({"prompt": ["a"] * 100, "n": 2}, "n"),
        ({"prompt": "a", "best_of": 3}, "best_of"),
        ({"prompt": "a", "best_of": 1, "n": 2}, "best_of"),
        ({"prompt": "a", "echo": True, "logprobs": 1}, "echo"),
        ({"prompt": "a", "logprobs": 21}, "logprobs"),
        ({"prompt": "a", "max_tokens": 0}, "max_tokens"),
    ],
)
def test_bad_values_name_their_field(fields: dict[str, Any], param: str) -> None:
    """A value that cannot be is refused, and the error says which field it was."""
    with pytest.raises(RequestError) as found:
        ask(**fields)
    assert found.value.param == param


def test_choices_count_through_the_prompts() -> None:
    """Every prompt gets n answers; each has an id of its own."""
    asked = ask(prompt=["a", "b"], n=2, seed=5, suffix="z", best_of=2)
    assert [request.prompt for request in asked.requests] == [TextPrompt(text=text, suffix="z") for text in "aabb"]
    assert [request.sampling.seed for request in asked.requests] == [5, 6, 5, 6]
    assert len({request.id for request in asked.requests}) == 4


def test_prompts_are_counted_once_each() -> None:
    """The usage of two prompts with two answers each has both prompts, and all four answers."""
    asked = ask(prompt=["a", "b"], n=2)
    for choice in range(4):
        asked.form.take(choice, _END)
    assert asked.form.usage == Usage(prompt_tokens=4, completion_tokens=4)
    choices = msgspec.json.decode(asked.form.close())["choices"]
    assert [choice["index"] for choice in choices] == [0, 1, 2, 3]


def test_a_whole_answer() -> None:
    """The document has the text, the reason and the counts."""
    found = whole(ask(prompt="a"), Delta(text="b"), Delta(text="c"), _END)
    assert found["object"] == "text_completion"
    assert found["id"] == "cmpl-tag"
    assert found["choices"] == [{"index": 0, "text": "bc", "logprobs": None, "finish_reason": "stop"}]
    assert found["usage"]["total_tokens"] == 3


def test_a_stream() -> None:
    """Each event has its text, the last the reason; counts come only when asked for."""
    found = streamed(ask(prompt="a", stream=True), Delta(seed=1), Delta(text="b"), _END)
    assert [chunk["choices"][0]["text"] for chunk in found] == ["b", ""]
    assert [chunk["choices"][0]["finish_reason"] for chunk in found] == [None, "stop"]
    asked = ask(prompt="a", stream=True, stream_options={"include_usage": True})
    *chunks, last = streamed(asked, Delta(text="b"), _END)
    assert all(chunk["usage"] is None for chunk in chunks)
    assert last["choices"] == []
    assert last["usage"]["completion_tokens"] == 1


def test_an_echo_comes_before_the_answer() -> None:
    """With echo the prompt is the front of the text, once, streamed or whole."""
    for stream in (False, True):
        asked = ask(prompt="a", echo=True, stream=stream)
        assert asked.echo is not None
        asked.echo(("a",))
        if stream:
            texts = [chunk["choices"][0]["text"] for chunk in streamed(asked, Delta(text="b"), Delta(text="c"), _END)]
            assert texts == ["ab", "c", ""]
        else:
            assert whole(asked, Delta(text="b"), Delta(text="c"), _END)["choices"][0]["text"] == "abc"
    assert ask(prompt="a").echo is None


def test_logprobs_follow_the_text() -> None:
    """Offsets count characters, through halves of them, and go on from event to event."""
    entries = [
        TokenLogprob(id=index, data=data, logprob=-1.0) for index, data in enumerate((b"h", b"\xc3", b"\xa9", b"!"))
    ]
    likely = TokenLogprob(id=9, data=b"?", logprob=-2.0)
    entries[3] = msgspec.structs.replace(entries[3], top=(likely,))
    first, rest = Delta(text="h", logprobs=tuple(entries[:2])), Delta(text="é!", logprobs=tuple(entries[2:]))
    found = whole(ask(prompt="a", logprobs=1), first, rest, _END)["choices"][0]["logprobs"]
    assert found == {
        "tokens": ["h", "\ufffd", "\ufffd", "!"],
        "token_logprobs": [-1.0] * 4,
        "top_logprobs": [{}, {}, {}, {"?": -2.0}],
        "text_offset": [0, 1, 1, 2],
    }
    chunks = streamed(ask(prompt="a", logprobs=0, stream=True), first, rest, _END)
    assert [chunk["choices"][0]["logprobs"] and chunk["choices"][0]["logprobs"]["text_offset"] for chunk in chunks] == [
        [0, 1],
        [1, 2],
        None,
    ]
