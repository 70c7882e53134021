from __future__ import annotations

from typing import Any

import msgspec
import pytest
from swarmgate.chat import Delta, TokenLogprob, ToolCallDelta, Usage
from swarmgate.http.wire.ollama.documents import ChatLine, GenerateLine
from swarmgate.http.wire.ollama.forms import Lines, chat_line, generate_line, nothing_to_say
from swarmgate.http.wire.ollama.timing import Course

_USAGE = Usage(prompt_tokens=10, completion_tokens=3, cached_tokens=4)
_END = Delta(finish="stop", usage=_USAGE)
_AT = "2023-11-14T22:13:20Z"
_COUNTS = {
    "done": True,
    "done_reason": "stop",
    "total_duration": 1,
    "load_duration": 0,
    "prompt_eval_count": 10,
    "prompt_eval_duration": 1,
    "eval_count": 3,
    "eval_duration": 1,
}


def course() -> Course:
    return Course(1700000000, lambda: 0.0)


def streamed(*deltas: Delta, text: bool = False, thinks: bool = True) -> list[dict[str, Any]]:
    form = Lines(generate_line if text else chat_line, "m", course(), streams=True, thinks=thinks)
    content = b"".join(form.take(0, delta) for delta in deltas) + form.close()
    assert content.endswith(b"\n")
    lines = content.splitlines()
    for line in lines:
        msgspec.json.decode(line, type=GenerateLine if text else ChatLine)  # as it is documented
    return [msgspec.json.decode(line) for line in lines]


def whole(*deltas: Delta, text: bool = False, thinks: bool = True) -> dict[str, Any]:
    form = Lines(generate_line if text else chat_line, "m", course(), streams=False, thinks=thinks)
    assert all(form.take(0, delta) == b"" for delta in deltas)
    assert form.usage == _USAGE
    return msgspec.json.decode(form.close())


def test_a_chat_is_lines_of_messages() -> None:
    """Each with its piece; the last has none, and the counts."""
    first, second, last = streamed(Delta(seed=1), Delta(text="Hé"), Delta(text="\n"), _END)
    assert first == {
        "model": "m",
        "created_at": _AT,
        "done": False,
        "message": {"role": "assistant", "content": "Hé"},
    }
    assert second["message"]["content"] == "\n"
    assert last == {"model": "m", "created_at": _AT, "message": {"role": "assistant", "content": ""}, **_COUNTS}


def test_a_text_is_lines_of_responses() -> None:
    """Otherwise the same."""
    first, last = streamed(Delta(text="Hé"), _END, text=True)
    assert first == {"model": "m", "created_at": _AT, "done": False, "response": "Hé"}
    assert last == {"model": "m", "created_at": _AT, "response": "", **_COUNTS}


def test_all_of_it_may_come_in_one() -> None:
    """With the same fields."""
    deltas = (Delta(reasoning="hm"), Delta(text="a"), Delta(text="b"), _END)
    said = {"role": "assistant", "content": "ab", "thinking": "hm"}
    assert whole(*deltas) == {"model": "m", "created_at": _AT, "message": said, **_COUNTS}
    assert whole(*deltas, text=True) == {"model": "m", "created_at": _AT, "response": "ab", "thinking": "hm", **_COUNTS}


def test_thoughts_come_apart_or_not_at_all() -> None:
    """Those that nobody wants are left out."""
    deltas = (Delta(reasoning="hm"), Delta(text="yes"), _END)
    first, second, _ = streamed(*deltas)
    assert first["message"] == {"role": "assistant", "content": "", "thinking": "hm"}
    assert second["message"] == {"role": "assistant", "content": "yes"}
    assert [line["message"]["content"] for line in streamed(*deltas, thinks=False)] == ["yes", ""]
    assert "thinking" not in whole(*deltas, thinks=False)["message"]


def test_calls_come_when_they_are_whole() -> None:
    """With their arguments as an object; numbered, with their ids."""
    deltas = (
        Delta(tool_calls=(ToolCallDelta(index=0, id="c0", name="look", arguments='{"a"'),)),
        Delta(tool_calls=(ToolCallDelta(index=0, arguments=":1}"),)),
        Delta(tool_calls=(ToolCallDelta(index=1, id="c1", name="see"),)),
        Delta(finish="tool_calls", usage=_USAGE),
    )
    first, second, last = streamed(*deltas)
    look = {"id": "c0", "function": {"index": 0, "name": "look", "arguments": {"a": 1}}}
    see = {"id": "c1", "function": {"index": 1, "name": "see", "arguments": {}}}
    assert (first["message"]["tool_calls"], second["message"]["tool_calls"]) == ([look], [see])
    assert last["done_reason"] == "stop"
    assert whole(*deltas)["message"]["tool_calls"] == [look, see]


def test_a_call_that_was_cut_off_is_text() -> None:
    """Nothing of it is lost, and nobody calls with half of the arguments."""
    deltas = (
        Delta(tool_calls=(ToolCallDelta(index=0, id="c", name="f", arguments='{"a'),)),
        Delta(finish="length", usage=_USAGE),
    )
    first, last = streamed(*deltas)
    assert (first["message"], last["done_reason"]) == ({"role": "assistant", "content": '{"a'}, "length")


def test_logprobs_are_there_where_they_were_asked_for() -> None:
    """Each with its bytes and the likeliest ones; minus infinity is a number JSON can say."""
    top = TokenLogprob(id=2, data=b"\xc3", logprob=float("-inf"))
    deltas = (Delta(text="a", logprobs=(TokenLogprob(id=1, data=b"a", logprob=-0.5, top=(top,)),)), _END)
    expected = {
        "token": "a",
        "logprob": -0.5,
        "bytes": [97],
        "top_logprobs": [{"token": "\ufffd", "logprob": -9999.0, "bytes": [195]}],
    }
    assert streamed(*deltas)[0]["logprobs"] == [expected]
    assert whole(*deltas)["logprobs"] == [expected]


@pytest.mark.parametrize("streams", [True, False])
def test_a_model_is_said_to_be_loaded(streams: bool) -> None:
    """In a line, or a document, without counts."""
    said = nothing_to_say(chat_line, "m", _AT, streams=streams)
    assert said.endswith(b"\n") is streams
    assert msgspec.json.decode(said) == {
        "model": "m",
        "created_at": _AT,
        "done": True,
        "done_reason": "load",
        "message": {"role": "assistant", "content": ""},
    }


@pytest.mark.parametrize("text", ["\x00", "\u2028", "😀", "\x7f\r\n", "\n\n"])
def test_any_text_stays_in_its_line(text: str) -> None:
    """No character can break out of it."""
    assert streamed(Delta(text=text), _END)[0]["message"]["content"] == text
