from __future__ import annotations

from itertools import count
from typing import Any

import msgspec
import pytest
from swarmgate.chat import Delta, TokenLogprob, ToolCallDelta, Usage
from swarmgate.http.wire.errors import Fault
from swarmgate.http.wire.responses.documents import ResponseDocument
from swarmgate.http.wire.responses.events import EVENTS
from swarmgate.http.wire.responses.forms import ResponseEvents, WholeResponse

_USAGE = Usage(prompt_tokens=10, completion_tokens=3, cached_tokens=4)
_END = Delta(finish="stop", usage=_USAGE)
_KINDS = {event.__struct_config__.tag: event for event in EVENTS}
_CALLS = (
    Delta(tool_calls=(ToolCallDelta(index=0, id="c0", name="look", arguments=""),)),
    Delta(tool_calls=(ToolCallDelta(index=0, arguments='{"a"'), ToolCallDelta(index=1, id="c1", name="see"))),
    Delta(tool_calls=(ToolCallDelta(index=0, arguments=":1}"), ToolCallDelta(index=1, arguments="{}"))),
    Delta(finish="tool_calls", usage=_USAGE),
)


def begun() -> ResponseDocument:
    return ResponseDocument(id="resp_1", created_at=7, model="org/m", temperature=0.5, top_p=1.0)


def read(stream: bytes) -> list[dict[str, Any]]:
    *events, rest = stream.split(b"\n\n")
    assert rest == b""
    found: list[dict[str, Any]] = []
    for event in events:
        name, data = event.split(b"\ndata: ")
        found.append(msgspec.json.decode(data))
        assert name.decode() == f"event: {found[-1]['type']}"
        msgspec.json.decode(data, type=_KINDS[found[-1]["type"]])  # as it is documented
    assert [event["sequence_number"] for event in found] == list(range(len(found)))
    return found


def streamed(*deltas: Delta) -> list[dict[str, Any]]:
    form = ResponseEvents(begun())
    return read(b"".join(form.take(0, delta) for delta in deltas) + form.close())


def whole(*deltas: Delta) -> dict[str, Any]:
    form = WholeResponse(begun())
    assert all(form.take(0, delta) == b"" for delta in deltas)
    document = form.close()
    msgspec.json.decode(document, type=ResponseDocument)
    return msgspec.json.decode(document)


def kinds(events: list[dict[str, Any]]) -> list[str]:
    return [event["type"].removeprefix("response.") for event in events]


def test_text_comes_in_the_documented_order() -> None:
    """The response, the item and its part begin, text comes, and they end the other way round."""
    events = streamed(Delta(seed=1), Delta(text="He", token_ids=(1,)), Delta(text='"llo'), _END)
    assert kinds(events) == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    assert [event["delta"] for event in events if "delta" in event] == ["He", '"llo']
    assert {event["item_id"] for event in events if "item_id" in event} == {events[2]["item"]["id"]}
    assert events[6]["text"] == events[7]["part"]["text"] == events[8]["item"]["content"][0]["text"] == 'He"llo'
    assert events[-1]["response"]["output"] == [events[8]["item"]]
    assert events[-1]["response"]["status"] == events[8]["item"]["status"] == "completed"
    assert {event["response"]["id"] for event in events if "response" in event} == {"resp_1"}


def test_nothing_is_said_before_there_is_news() -> None:
    """A piece that only has tokens sends nothing, so that an error can still choose the status."""
    form = ResponseEvents(begun())
    assert form.take(0, Delta(seed=1, token_ids=(1,))) == b""
    assert form.take(0, Delta(text="x")) != b""


def test_a_document_is_what_the_stream_ends_with() -> None:
    """Streaming or not, the same pieces make the same response, in all the forms an answer takes."""
    thinking = (Delta(reasoning="hm", token_ids=(1, 2)), Delta(reasoning="!"), Delta(text="x", token_ids=(3,)))
    for deltas in (thinking, (Delta(text="x"),), ()):
        assert streamed(*deltas, _END)[-1]["response"] == whole(*deltas, _END)
    assert streamed(*_CALLS)[-1]["response"] == whole(*_CALLS)


def test_thoughts_are_an_item_of_their_own() -> None:
    """They come before the text, whole and without a summary, and their tokens are counted."""
    events = streamed(Delta(reasoning="h", token_ids=(1, 2)), Delta(reasoning="m", text="x", token_ids=(3,)), _END)
    assert kinds(events)[2:12] == [
        "output_item.added",
        "content_part.added",
        "reasoning_text.delta",
        "reasoning_text.delta",
        "reasoning_text.done",
        "content_part.done",
        "output_item.done",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
    ]
    thoughts, message = events[-1]["response"]["output"]
    assert (thoughts["type"], thoughts["summary"]) == ("reasoning", [])
    assert thoughts["content"] == [{"type": "reasoning_text", "text": "hm"}]
    assert message["content"][0]["text"] == "x"
    assert events[-1]["response"]["usage"]["output_tokens_details"] == {"reasoning_tokens": 3}


def test_calls_are_items_with_their_own_pieces() -> None:
    """Pieces of several calls may come by turns; each call is told whole at the end."""
    events = streamed(Delta(text="so"), *_CALLS)
    calls = [event["item"] for event in events if event["type"] == "response.output_item.done"][1:]
    assert [(call["call_id"], call["name"], call["arguments"], call["status"]) for call in calls] == [
        ("c0", "look", '{"a":1}', "completed"),
        ("c1", "see", "{}", "completed"),
    ]
    for index in (1, 2):
        own = [event for event in events if event.get("output_index") == index]
        told = "".join(event["delta"] for event in own if "delta" in event)
        assert [event["arguments"] for event in own if "arguments" in event] == [told]
        assert own[0]["item"]["arguments"] == ""
    message = events[-1]["response"]["output"][0]
    assert kinds(events).index("output_text.done") < kinds(events).index("function_call_arguments.delta")
    assert (message["type"], events[-1]["type"]) == ("message", "response.completed")


@pytest.mark.parametrize(("finish", "reason"), [("length", "max_output_tokens"), ("content_filter", "content_filter")])
def test_what_ends_too_soon_is_incomplete(finish: Any, reason: str) -> None:
    """The last event and the last item say so, and the response says why."""
    events = streamed(Delta(text="x"), Delta(finish=finish, usage=_USAGE))
    assert events[-1]["type"] == "response.incomplete"
    response = events[-1]["response"]
    assert (response["status"], response["incomplete_details"]) == ("incomplete", {"reason": reason})
    assert response["output"][0]["status"] == "incomplete"


def test_an_answer_of_nothing_is_an_empty_message() -> None:
    """Clients find text in it, none."""
    response = whole(_END)
    assert [item["content"][0]["text"] for item in response["output"]] == [""]
    assert response["usage"] == {
        "input_tokens": 10,
        "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 0},
        "output_tokens": 3,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 13,
    }


def test_a_failure_tells_what_there_is() -> None:
    """After the error comes the response as far as it was written, also where nothing was."""
    form = ResponseEvents(begun())
    front = form.take(0, Delta(text="He"))
    events = read(front + form.fail(Fault(502, "gone", "server_error", code="engine_error")))
    assert kinds(events)[-2:] == ["error", "failed"]
    assert events[-2].items() >= {"code": "engine_error", "message": "gone", "param": None}.items()
    failed = events[-1]["response"]
    assert (failed["status"], failed["error"]) == ("failed", {"code": "server_error", "message": "gone"})
    assert (failed["output"][0]["status"], failed["output"][0]["content"][0]["text"]) == ("incomplete", "He")
    silent = read(ResponseEvents(begun()).fail(Fault(429, "later", "rate_limit_error")))
    assert kinds(silent) == ["created", "in_progress", "error", "failed"]
    assert silent[-1]["response"]["error"]["code"] == "rate_limit_exceeded"


def entry(data: bytes) -> TokenLogprob:
    return TokenLogprob(id=1, data=data, logprob=-0.5, top=(TokenLogprob(id=1, data=data, logprob=-0.5),))


def test_logprobs_go_with_the_text() -> None:
    """Each token's is told once in the pieces and once in the whole, also of half a character; of thoughts none are."""
    halves = [entry(half) for half in (b"\xc3", b"\xa9")]
    events = streamed(
        Delta(logprobs=(halves[0],)),
        Delta(text="é", logprobs=(halves[1],)),
        Delta(logprobs=(entry(b"!"),)),
        Delta(text="?"),
        _END,
    )
    pieces = [[token["bytes"] for token in event["logprobs"]] for event in events if "delta" in event]
    assert pieces == [[[0xC3], [0xA9]], [[33]]]
    part = events[-1]["response"]["output"][0]["content"][0]
    assert [token["bytes"] for token in part["logprobs"]] == [[0xC3], [0xA9], [33]]
    assert part["logprobs"][0]["top_logprobs"][0]["logprob"] == -0.5
    thinking = whole(Delta(reasoning="h", logprobs=(entry(b"h"),)), Delta(text="x"), _END)
    assert thinking["output"][1]["content"][0]["logprobs"] == []


def test_it_is_kept_when_it_is_over() -> None:
    """Once, as the client gets it; not if it fails."""
    kept: list[ResponseDocument] = []
    for form in (WholeResponse(begun(), keep=kept.append), ResponseEvents(begun(), keep=kept.append)):
        form.take(0, Delta(text="x"))
        form.take(0, _END)
        form.close()
    assert [response.status for response in kept] == ["completed", "completed"]
    failing = ResponseEvents(begun(), keep=kept.append)
    failing.fail(Fault(502, "gone", "server_error"))
    assert len(kept) == 2


def test_items_have_ids_of_their_own() -> None:
    """No two of one response, and none of two responses."""
    numbers = count()
    items = [item["id"] for _ in range(2) for item in msgspec.json.decode(finished(f"resp_{next(numbers)}"))["output"]]
    assert len(set(items)) == len(items) == 6


def finished(name: str) -> bytes:
    form = WholeResponse(msgspec.structs.replace(begun(), id=name))
    for delta in (Delta(reasoning="h"), Delta(text="x"), _CALLS[0], _END):
        form.take(0, delta)
    return form.close()


def test_usage_is_counted_on_the_way() -> None:
    """Before the end, the tokens seen are."""
    form = WholeResponse(begun())
    form.take(0, Delta(text="x", token_ids=(1, 2)))
    assert form.usage.completion_tokens == 2
