from __future__ import annotations

from typing import Any

import msgspec
import pytest
from swarmgate.chat import ChatPrompt, Delta, GenerateRequest, Message, ToolCallDelta, Usage
from swarmgate.http.wire.anthropic.documents import (
    BlockDelta,
    BlockStart,
    BlockStop,
    MessageDelta,
    MessageDocument,
    MessageStart,
    MessageStop,
)
from swarmgate.http.wire.anthropic.forms import Display, MessageEvents, MessageWhole
from swarmgate.http.wire.anthropic.thinking import recalled, signature

_ASK = GenerateRequest(
    id="r", model="m", prompt=ChatPrompt(messages=(Message(role="user", content="hi"),)), max_tokens=9
)
_USAGE = Usage(prompt_tokens=10, completion_tokens=9, cached_tokens=4)
_COUNTS = {"input_tokens": 6, "output_tokens": 9, "cache_read_input_tokens": 4, "cache_creation_input_tokens": 0}
_END = Delta(finish="stop", usage=_USAGE)
_EVENT = MessageStart | BlockStart | BlockDelta | BlockStop | MessageDelta | MessageStop
_CALLS = (
    Delta(text="Let me see."),
    Delta(tool_calls=(ToolCallDelta(index=0, id="c0", name="look", arguments=""),)),
    Delta(tool_calls=(ToolCallDelta(index=0, arguments='{"a"'), ToolCallDelta(index=1, id="c1", name="see"))),
    Delta(tool_calls=(ToolCallDelta(index=0, arguments=":1}"), ToolCallDelta(index=1, arguments="{}"))),
    Delta(finish="tool_calls", usage=_USAGE),
)


def streamed(*deltas: Delta, display: Display = "shown") -> list[dict[str, Any]]:
    form = MessageEvents("msg_1", _ASK, "org/m", display)
    found: list[dict[str, Any]] = []
    for event in (
        (b"".join(form.take(0, delta) for delta in deltas) + form.close()).removesuffix(b"\n\n").split(b"\n\n")
    ):
        name, data = event.split(b"\n")
        document = msgspec.json.decode(data.removeprefix(b"data: "))
        msgspec.json.decode(data.removeprefix(b"data: "), type=_EVENT)  # as it is documented
        assert name.decode() == f"event: {document['type']}"
        found.append(document)
    return found


def whole(*deltas: Delta, display: Display = "shown") -> dict[str, Any]:
    form = MessageWhole("msg_1", _ASK, "org/m", display)
    assert all(form.take(0, delta) == b"" for delta in deltas)
    assert form.usage == _USAGE
    msgspec.json.decode(form.close(), type=MessageDocument)
    return msgspec.json.decode(form.close())


def blocks(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Put the blocks of a stream together as a client does, holding it to their order."""
    found: list[dict[str, Any]] = []
    for event in events:
        if event["type"] == "content_block_start":
            assert event["index"] == len(found)
            found.append({**event["content_block"], "open": True, "json": ""})
        elif event["type"] == "content_block_stop":
            assert found[event["index"]].pop("open")
            json = found[event["index"]].pop("json")
            if json:
                found[event["index"]]["input"] = msgspec.json.decode(json)
        elif event["type"] == "content_block_delta":
            block, value = found[-1], next(value for name, value in event["delta"].items() if name != "type")
            assert event["index"] == len(found) - 1
            assert block["open"]
            kind = event["delta"]["type"]
            name = {"text_delta": "text", "thinking_delta": "thinking", "signature_delta": "signature"}.get(
                kind, "json"
            )
            block[name] += value
    assert not any("open" in block for block in found)
    return found


def test_a_stream_of_text_is_one_block() -> None:
    """Begun by a message without content, ended with the reason and all counts."""
    events = streamed(Delta(seed=1), Delta(text="Hé", token_ids=(1,)), Delta(text='"\n', token_ids=(2,)), _END)
    assert [event["type"] for event in events] == [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    assert events[0]["message"] == {
        "type": "message",
        "id": "msg_1",
        "role": "assistant",
        "model": "org/m",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": dict.fromkeys(_COUNTS, 0),
    }
    assert blocks(events) == [{"type": "text", "text": 'Hé"\n'}]
    assert events[-2] == {
        "type": "message_delta",
        "delta": {"stop_reason": "end_turn", "stop_sequence": None},
        "usage": _COUNTS,
    }


def test_a_whole_message_has_the_same() -> None:
    """Blocks, reason and counts."""
    assert whole(Delta(seed=1), Delta(text="Hé"), Delta(text='"\n'), _END) == {
        "type": "message",
        "id": "msg_1",
        "role": "assistant",
        "model": "org/m",
        "content": [{"type": "text", "text": 'Hé"\n'}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": _COUNTS,
    }


def test_calls_are_blocks_one_after_the_other() -> None:
    """Also where the model writes two at once."""
    expected = [
        {"type": "text", "text": "Let me see."},
        {"type": "tool_use", "id": "c0", "name": "look", "input": {"a": 1}},
        {"type": "tool_use", "id": "c1", "name": "see", "input": {}},
    ]
    events = streamed(*_CALLS)
    assert blocks(events) == expected
    assert events[-2]["delta"]["stop_reason"] == "tool_use"
    message = whole(*_CALLS)
    assert (message["content"], message["stop_reason"]) == (expected, "tool_use")


def test_a_call_goes_on_after_text_in_its_middle() -> None:
    """Its pieces name its block, however oddly a server mixes them."""
    odd = (
        Delta(tool_calls=(ToolCallDelta(index=0, id="c0", name="f", arguments="{"),)),
        Delta(text="hm"),
        Delta(tool_calls=(ToolCallDelta(index=0, arguments="}"),)),
        _END,
    )
    pieces = [
        (event["index"], event["delta"].get("partial_json"))
        for event in streamed(*odd)
        if "index" in event and "delta" in event
    ]
    assert pieces == [(0, "{"), (1, None), (0, "}")]


def test_a_call_that_was_cut_off_is_none() -> None:
    """Streamed it stays what it is, a beginning; whole it is left out."""
    cut = (
        Delta(tool_calls=(ToolCallDelta(index=0, id="c0", name="look", arguments='{"a'),)),
        Delta(finish="length", usage=_USAGE),
    )
    message = whole(*cut)
    assert (message["content"], message["stop_reason"]) == ([], "max_tokens")
    assert streamed(*cut)[2]["delta"] == {"type": "input_json_delta", "partial_json": '{"a'}


@pytest.mark.parametrize("display", ["shown", "omitted", "off"])
def test_thoughts_are_shown_signed_or_left_out(display: Display) -> None:
    """Signed ones come back by their signature; the text is the same in any case."""
    deltas = (Delta(reasoning="hm"), Delta(reasoning="m"), Delta(text="yes"), _END)
    expected: list[dict[str, Any]] = [{"type": "text", "text": "yes"}]
    if display != "off":
        shown = display == "shown"
        block = {"type": "thinking", "thinking": "hmm" if shown else "", "signature": signature("hmm", shown=shown)}
        assert recalled(block["thinking"], block["signature"]) == "hmm"
        expected.insert(0, block)
    assert whole(*deltas, display=display)["content"] == expected
    assert blocks(streamed(*deltas, display=display)) == expected


@pytest.mark.parametrize(
    ("end", "reason", "met"),
    [
        (_END, "end_turn", None),
        (msgspec.structs.replace(_END, stop="END"), "stop_sequence", "END"),
        (msgspec.structs.replace(_END, finish="length"), "max_tokens", None),
        (Delta(finish="length", usage=Usage(completion_tokens=8)), "model_context_window_exceeded", None),
        (msgspec.structs.replace(_END, finish="content_filter"), "refusal", None),
    ],
)
def test_an_answer_ends_for_anthropics_reasons(end: Delta, reason: str, met: str | None) -> None:
    """Which stop sequence was met, and whether the limit or the context was full."""
    event = streamed(Delta(text="a"), end)[-2]
    assert event["delta"] == {"stop_reason": reason, "stop_sequence": met}


def test_a_forced_call_is_a_call_whatever_the_server_says() -> None:
    """Some servers end it with "stop"."""
    called = Delta(tool_calls=(ToolCallDelta(index=0, id="c", name="f", arguments="{}"),))
    assert streamed(called, _END)[-2]["delta"]["stop_reason"] == "tool_use"
    assert whole(called, _END)["stop_reason"] == "tool_use"


def test_an_empty_answer_is_a_message() -> None:
    """Without blocks."""
    events = streamed(_END)
    assert [event["type"] for event in events] == ["message_start", "message_delta", "message_stop"]
    assert whole(_END)["content"] == []


@pytest.mark.parametrize("text", ["\x00", "\u2028", "😀", "</script>", "\x7f\r\n"])
def test_any_text_stays_in_its_event(text: str) -> None:
    """No character can break out of the line of its event."""
    assert blocks(streamed(Delta(text="a"), Delta(text=text), _END)) == [{"type": "text", "text": f"a{text}"}]


def test_text_in_the_last_piece_is_not_lost() -> None:
    """Nor is what was counted before the engine told its counts."""
    assert blocks(streamed(Delta(text="a"), msgspec.structs.replace(_END, text="b"))) == [
        {"type": "text", "text": "ab"}
    ]
    form = MessageEvents("msg_1", _ASK, "m", "shown")
    form.take(0, Delta(text="ab", token_ids=(1, 2)))
    assert form.usage == Usage(completion_tokens=2)
