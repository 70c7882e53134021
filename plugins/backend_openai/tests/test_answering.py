from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from swarmgate.api import Delta, EngineError, SwarmgateError, TokenLogprob, ToolCallDelta, Unavailable, Usage
from swarmgate_backend_openai.answering import AnswerReader


def event(finish: str | None = None, text: str | None = None, **more: Any) -> bytes:
    choice = {"index": 0, "delta": {"content": text} if text is not None else {}, "finish_reason": finish}
    return json.dumps({"choices": [choice | more.pop("choice", {})], **more}).encode()


def read(*events: bytes) -> list[Delta]:
    reader = AnswerReader("n")
    found = [delta for data in events if (delta := reader.take(data)) is not None]
    return found if reader.done else [*found, reader.end()]


USAGE = json.dumps(
    {
        "choices": [],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 1}},
    }
).encode()


def test_finish_and_usage_come_together_in_the_last() -> None:
    """Though OpenAI tells them in two events, in either order with the end."""
    found = read(event(text=""), event(text="a"), event("length"), USAGE, b"[DONE]", event(text="late"))
    assert found == [
        Delta(text="a"),
        Delta(finish="length", usage=Usage(prompt_tokens=3, completion_tokens=2, cached_tokens=1)),
    ]


def test_a_whole_answer_may_lack_done_and_usage() -> None:
    """Pieces are counted then."""
    assert read(event(text="a"), event("stop", text="b"))[-1] == Delta(finish="stop", usage=Usage(completion_tokens=2))


def test_tokens_and_seed_come_from_gateways() -> None:
    """Also in events without text."""
    found = read(event(gateway={"seed": 5}), event(text="ab", gateway={"token_ids": [1, 2]}), event("stop"), b"[DONE]")
    assert found[:2] == [Delta(seed=5), Delta(text="ab", token_ids=(1, 2))]
    assert found[-1].usage == Usage(completion_tokens=2)


def test_thoughts_and_calls_come_through() -> None:
    """Under either name of thoughts; calls in pieces; completions have their text elsewhere."""
    call = {"index": 1, "id": "c", "function": {"name": "f", "arguments": "{"}}
    found = read(
        event(choice={"delta": {"reasoning_content": "hm"}}),
        event(choice={"delta": {"reasoning": "so"}}),
        event(choice={"delta": {"tool_calls": [call]}}),
        event(choice={"delta": {"tool_calls": [{"index": 1, "function": {"arguments": "}"}}]}}),
        event("function_call"),
    )
    assert [delta.reasoning for delta in found[:2]] == ["hm", "so"]
    assert found[2].tool_calls == (ToolCallDelta(index=1, id="c", name="f", arguments="{"),)
    assert found[3].tool_calls == (ToolCallDelta(index=1, arguments="}"),)
    assert found[4].finish == "tool_calls"
    assert read(b'{"choices": [{"text": "x", "finish_reason": "odd"}]}')[0].text == "x"


def test_logprobs_come_in_both_forms() -> None:
    """The chat's with bytes, the completion's with text."""
    entry = {"token": "?", "logprob": -1.0, "bytes": [195], "top_logprobs": [{"token": "b", "logprob": -2.0}]}
    (chat, _) = read(event(choice={"logprobs": {"content": [entry]}}), event("stop"))
    top = TokenLogprob(id=-1, data=b"b", logprob=-2.0)
    assert chat.logprobs == (TokenLogprob(id=-1, data=b"\xc3", logprob=-1.0, top=(top,)),)
    listed = {"tokens": ["a"], "token_logprobs": [-1.0], "top_logprobs": [{"b": -2.0}], "text_offset": [0]}
    (text, _) = read(event(choice={"text": "a", "logprobs": listed}), event("stop"))
    assert text.logprobs == (TokenLogprob(id=-1, data=b"a", logprob=-1.0, top=(top,)),)


def test_an_end_without_finish_is_no_end() -> None:
    """With or without [DONE]."""
    for events in ((event(text="a"),), (event(text="a"), b"[DONE]"), ()):
        with pytest.raises(EngineError, match="n ended its answer before it was finished"):
            read(*events)


def test_errors_are_told_as_such() -> None:
    """An event that is an error is raised as what it is."""
    with pytest.raises(EngineError, match="n broke off: out of memory"):
        read(event(text="a"), b'{"error": {"message": "out of memory"}}')
    with pytest.raises(Unavailable):
        read(b'{"error": {"message": "stopping", "type": "service_unavailable"}}')


@pytest.mark.parametrize("data", [b"{", b"7", b"\xff", b'{"choices": 7}', b'{"choices": [{"delta": {"content": 7}}]}'])
def test_garbage_is_an_error(data: bytes) -> None:
    """The message shows the beginning of what came."""
    with pytest.raises(EngineError, match="n sent garbage"):
        read(data)


@given(st.lists(st.binary(max_size=40) | st.sampled_from([event(text="a"), event("stop"), USAGE, b"[DONE]"])))
def test_no_events_break_it(events: list[bytes]) -> None:
    """An answer ends with one finish, or in one of our errors."""
    try:
        found = read(*events)
    except SwarmgateError:
        return
    assert [delta.finish is not None for delta in found] == [False] * (len(found) - 1) + [True]


@pytest.mark.parametrize("told", [{"gateway": {"stop": "END"}}, {"choice": {"stop_reason": "END"}}])
def test_the_stop_string_that_was_met_is_told_in_the_last(told: dict[str, Any]) -> None:
    """A gateway tells it, and vLLM; its number of a token is none, and neither is one that ended nothing."""
    assert read(event("stop", **told))[-1].stop == "END"
    assert read(event(text="a", **told), event("stop"))[-1].stop == "END"
    assert read(event("length", **told))[-1].stop == ""
    assert read(event("stop", choice={"stop_reason": 7}))[-1].stop == ""
