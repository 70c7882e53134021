from __future__ import annotations

from typing import Any

import msgspec
import pytest
from swarmgate.chat import Delta, TokenLogprob, ToolCallDelta, Usage
from swarmgate.http.wire.chat_documents import ChatCompletion, ChatCompletionChunk
from swarmgate.http.wire.chat_forms import ChatChunks, ChatDocument
from swarmgate.http.wire.heading import Heading

_HEADING = Heading(id="chatcmpl-1", created=7, model="org/m", fingerprint="0123456789abcdef")
_USAGE = Usage(prompt_tokens=10, completion_tokens=3, cached_tokens=4)
_END = Delta(finish="stop", usage=_USAGE)
_CALLS = (
    Delta(tool_calls=(ToolCallDelta(index=0, id="c0", name="look", arguments=""),)),
    Delta(tool_calls=(ToolCallDelta(index=0, arguments='{"a"'), ToolCallDelta(index=1, id="c1", name="see"))),
    Delta(tool_calls=(ToolCallDelta(index=0, arguments=":1}"), ToolCallDelta(index=1, arguments="{}"))),
    Delta(finish="tool_calls", usage=_USAGE),
)


def streamed(*deltas: Delta, include_usage: bool = False, legacy: bool = False) -> list[dict[str, Any]]:
    form = ChatChunks(_HEADING, choices=1, include_usage=include_usage, legacy=legacy)
    return events(b"".join(form.take(0, delta) for delta in deltas) + form.close())


def events(stream: bytes) -> list[dict[str, Any]]:
    *chunks, done, rest = stream.split(b"\n\n")
    assert (done, rest) == (b"data: [DONE]", b"")
    for chunk in chunks:
        msgspec.json.decode(chunk.removeprefix(b"data: "), type=ChatCompletionChunk)  # as it is documented
    return [msgspec.json.decode(chunk.removeprefix(b"data: ")) for chunk in chunks]


def whole(*deltas: Delta, legacy: bool = False) -> dict[str, Any]:
    form = ChatDocument(_HEADING, choices=1, legacy=legacy)
    assert all(form.take(0, delta) == b"" for delta in deltas)
    document = form.close()
    msgspec.json.decode(document, type=ChatCompletion)
    return msgspec.json.decode(document)


def test_a_stream_is_what_clients_expect() -> None:
    """The role comes first, the reason alone at the end, and the heading never changes."""
    found = streamed(Delta(seed=1), Delta(text="Hé", token_ids=(1,)), Delta(text='"\n', token_ids=(2,)), _END)
    assert [chunk["choices"][0]["delta"] for chunk in found] == [
        {"role": "assistant", "content": "Hé"},
        {"content": '"\n'},
        {},
    ]
    assert [chunk["choices"][0]["finish_reason"] for chunk in found] == [None, None, "stop"]
    heading = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 7, "model": "org/m"}
    for chunk in found:
        assert chunk.items() >= {**heading, "system_fingerprint": "fp_0123456789ab"}.items()
        assert "usage" not in chunk


def test_usage_comes_only_when_asked_for() -> None:
    """One more chunk without choices has the counts; all others say null."""
    *chunks, last = streamed(Delta(text="a"), _END, include_usage=True)
    assert all(chunk["usage"] is None for chunk in chunks)
    assert last["choices"] == []
    assert last["usage"] == {
        "prompt_tokens": 10,
        "completion_tokens": 3,
        "total_tokens": 13,
        "prompt_tokens_details": {"cached_tokens": 4},
    }


def test_an_empty_answer_still_has_its_role() -> None:
    """An answer that ends before it says anything is a message of the assistant all the same."""
    first, last = streamed(_END)
    assert first["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert last["choices"][0]["finish_reason"] == "stop"
    assert whole(_END)["choices"][0]["message"]["content"] == ""


def test_text_in_the_last_piece_is_not_lost() -> None:
    """A last piece with text makes two events."""
    found = streamed(Delta(text="a"), msgspec.structs.replace(_END, text="b"))
    assert [chunk["choices"][0]["delta"].get("content") for chunk in found] == ["a", "b", None]


def test_tool_calls_stream_by_index() -> None:
    """The first fragment of a call has its id and name, the others only arguments."""
    deltas = [chunk["choices"][0]["delta"] for chunk in streamed(*_CALLS)]
    assert deltas == [
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"index": 0, "id": "c0", "type": "function", "function": {"name": "look", "arguments": ""}}],
        },
        {
            "tool_calls": [
                {"index": 0, "function": {"arguments": '{"a"'}},
                {"index": 1, "id": "c1", "type": "function", "function": {"name": "see", "arguments": ""}},
            ]
        },
        {
            "tool_calls": [
                {"index": 0, "function": {"arguments": ":1}"}},
                {"index": 1, "function": {"arguments": "{}"}},
            ]
        },
        {},
    ]


def test_tool_calls_are_joined() -> None:
    """A whole answer has each call in one, and null for its content."""
    choice = whole(*_CALLS)["choices"][0]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"] == {
        "role": "assistant",
        "content": None,
        "refusal": None,
        "tool_calls": [
            {"id": "c0", "type": "function", "function": {"name": "look", "arguments": '{"a":1}'}},
            {"id": "c1", "type": "function", "function": {"name": "see", "arguments": "{}"}},
        ],
    }


def test_clients_of_functions_get_a_function_call() -> None:
    """Who asked with functions is answered with function_call, whole and streamed."""
    choice = whole(*_CALLS, legacy=True)["choices"][0]
    assert choice["finish_reason"] == "function_call"
    assert choice["message"]["function_call"] == {"name": "look", "arguments": '{"a":1}'}
    assert "tool_calls" not in choice["message"]
    found = streamed(*_CALLS, legacy=True)
    assert [chunk["choices"][0]["delta"].get("function_call") for chunk in found] == [
        {"name": "look", "arguments": ""},
        {"arguments": '{"a"'},
        {"arguments": ":1}"},
        None,
    ]
    assert found[-1]["choices"][0]["finish_reason"] == "function_call"


def test_reasoning_is_passed_through() -> None:
    """What the model thought stands beside what it said."""
    deltas = (Delta(reasoning="hm"), Delta(reasoning="m"), Delta(text="yes"), _END)
    found = [chunk["choices"][0]["delta"] for chunk in streamed(*deltas)]
    assert found[0] == {"role": "assistant", "content": None, "reasoning_content": "hm"}
    assert found[1:3] == [{"reasoning_content": "m"}, {"content": "yes"}]
    message = whole(*deltas)["choices"][0]["message"]
    assert (message["reasoning_content"], message["content"]) == ("hmm", "yes")


def test_logprobs_have_bytes_and_finite_numbers() -> None:
    """Half a character has its bytes, and minus infinity becomes a number JSON can say."""
    top = TokenLogprob(id=2, data=b"\xc3", logprob=float("-inf"))
    entry = TokenLogprob(id=1, data=b"a", logprob=-0.5, top=(top,))
    expected = {
        "content": [
            {
                "token": "a",
                "logprob": -0.5,
                "bytes": [97],
                "top_logprobs": [{"token": "\ufffd", "logprob": -9999.0, "bytes": [195]}],
            }
        ],
        "refusal": None,
    }
    deltas = (Delta(text="a", logprobs=(entry,)), _END)
    assert streamed(*deltas)[0]["choices"][0]["logprobs"] == expected
    assert whole(*deltas)["choices"][0]["logprobs"] == expected
    assert whole(_END)["choices"][0]["logprobs"] is None


def test_choices_have_an_index_and_share_a_prompt() -> None:
    """Choices are told apart by index; their common prompt counts once, what was cached least."""
    form = ChatChunks(_HEADING, choices=2, include_usage=True, legacy=False)
    stream = form.take(1, Delta(text="b")) + form.take(0, Delta(text="a"))
    stream += form.take(0, _END) + form.take(
        1, Delta(finish="length", usage=Usage(prompt_tokens=10, completion_tokens=2, cached_tokens=9))
    )
    found = events(stream + form.close())
    assert [chunk["choices"][0]["index"] for chunk in found[:-1]] == [1, 0, 0, 1]
    assert all("role" in chunk["choices"][0]["delta"] for chunk in found[:2])
    assert found[-1]["usage"]["prompt_tokens"] == 10
    assert found[-1]["usage"]["completion_tokens"] == 5
    assert found[-1]["usage"]["prompt_tokens_details"] == {"cached_tokens": 4}


@pytest.mark.parametrize("text", ["\x00", "\u2028", "😀", "</script>", "\x7f\r\n"])
def test_any_text_stays_in_its_event(text: str) -> None:
    """No character can break out of the line of its event."""
    found = streamed(Delta(text="a"), Delta(text=text), _END)
    assert found[1]["choices"][0]["delta"] == {"content": text}


def test_unfinished_choices_count_what_was_seen() -> None:
    """Before the engine has told its counts, tokens are counted as they come."""
    form = ChatDocument(_HEADING, choices=1, legacy=False)
    form.take(0, Delta(text="ab", token_ids=(1, 2)))
    assert form.usage == Usage(completion_tokens=2)
