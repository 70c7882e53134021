from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from swarmgate.chat import Delta, Finish, TokenLogprob, ToolCallDelta, Usage
from swarmgate.http.wire.errors import Fault
from swarmgate.http.wire.responses.documents import ResponseDocument
from swarmgate.http.wire.responses.forms import ResponseEvents, WholeResponse

pytestmark = [pytest.mark.clients, pytest.mark.timeout(600)]
engine = pytest.mark.engine
ANSWER = "The capital of France is Paris."
TYPES = Path(__file__).parent / "scripts" / "responses_types.py"


@pytest.fixture(scope="session", params=["openai-2", "openai-3"])
def told(request: pytest.FixtureRequest, answers: Any) -> dict[str, Any]:
    return answers(request.param, "responses_sdk.py")


def kinds(events: list[dict[str, Any]]) -> list[str]:
    return [event["type"].removeprefix("response.") for event in events]


@engine
def test_a_response_is_answered(told: dict[str, Any]) -> None:
    """One question, one right answer, with counts that add up."""
    response = told["whole"]["response"]
    assert told["whole"]["text"] == ANSWER
    assert (response["object"], response["status"], response["model"]) == ("response", "completed", "local/smollm2")
    assert response["usage"]["input_tokens"] > 10
    assert response["usage"]["total_tokens"] == sum(response["usage"][f"{kind}_tokens"] for kind in ("input", "output"))


@engine
def test_a_stream_says_the_same(told: dict[str, Any]) -> None:
    """All events in their order, numbered, and the same text in several pieces."""
    events = told["stream"]
    pieces = [event["delta"] for event in events if "delta" in event]
    assert "".join(pieces) == told["helper"]["text"] == ANSWER
    assert len(pieces) > 3
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert kinds(events)[:4] == ["created", "in_progress", "output_item.added", "content_part.added"]
    assert kinds(events)[-4:] == ["output_text.done", "content_part.done", "output_item.done", "completed"]
    assert set(told["helper"]["kinds"]) == {event["type"] for event in events}


@engine
def test_json_becomes_a_class(told: dict[str, Any]) -> None:
    """The SDK's parser gets what it asked for, whole or in events."""
    for place in told["parsed"]:
        assert place.keys() == {"capital", "language"}
        assert isinstance(place["capital"], bool)
    assert told["parsed_call"]["type"] == "function_call"
    assert isinstance(told["parsed_call"]["warm"], bool)


@engine
def test_a_call_can_be_forced_and_answered(told: dict[str, Any]) -> None:
    """Its result is understood in both ways: after the response that is kept, and with all items sent again."""
    call = told["call"]["call"]
    assert (call["name"], call["status"]) == ("get_weather", "completed")
    assert json.loads(call["arguments"]).keys() == {"city", "unit"}
    kept, sent = told["call"]["kept"], told["call"]["sent"]
    assert kept["output"][0]["content"][0]["text"] == sent["output"][0]["content"][0]["text"]
    assert kept["usage"]["input_tokens"] == sent["usage"]["input_tokens"]


@engine
def test_a_call_comes_in_pieces(told: dict[str, Any]) -> None:
    """Put together they are the call, by hand and by the helper."""
    streamed = told["call_streamed"]
    pieces = [event["delta"] for event in streamed["events"] if "delta" in event]
    assert len(pieces) > 1
    assert "".join(pieces) == streamed["snapshot"] == streamed["final"]["arguments"]
    assert json.loads(streamed["snapshot"]).keys() == {"city", "unit"}
    assert streamed["events"][-1]["response"]["output"][0]["arguments"] == streamed["snapshot"]


@engine
def test_a_conversation_goes_on(told: dict[str, Any]) -> None:
    """What is kept is read again, can be looked at and forgotten; without its beginning it does not go on."""
    found = told["conversation"]
    assert found["same"] is True
    assert [item["content"][0]["text"] for item in found["items"]] == ["What is my name?"]
    assert found["read"][1] > found["read"][0]
    assert (found["gone"]["class"], found["gone"]["code"]) == ("NotFoundError", "response_not_found")
    assert (found["broken"]["class"], found["broken"]["param"]) == ("NotFoundError", "previous_response_id")
    assert found["cancelled"]["class"] == "BadRequestError"


@engine
def test_an_answer_ends_where_it_is_told_to(told: dict[str, Any]) -> None:
    """It is incomplete then, and says why."""
    whole = told["cut_off"]["whole"]
    assert (whole["status"], whole["incomplete_details"]["reason"]) == ("incomplete", "max_output_tokens")
    assert whole["output"][0]["content"][0]["text"] == "The capital of"
    assert told["cut_off"]["last"] == "response.incomplete"


@engine
def test_logprobs_are_there(told: dict[str, Any]) -> None:
    """Each token has its probability and the asked number of likeliest ones."""
    assert "".join(token["token"] for token in told["logprobs"][:7]) == ANSWER
    assert all(len(token["top_logprobs"]) == 2 and token["logprob"] <= 0 for token in told["logprobs"])


@engine
def test_several_may_ask_and_one_may_leave(told: dict[str, Any]) -> None:
    """Three at the same time get right answers, and so does who left the last one early."""
    assert told["at_once"] == [ANSWER] * 3
    assert told["left_early"] == ANSWER


@engine
def test_what_goes_over_the_wire_is_as_the_sdk_has_it(told: dict[str, Any]) -> None:
    """Every document and every event fits the SDK's types, which the SDK itself does not check."""
    assert "raised" not in told["strict"]
    assert {"response.completed", "response.incomplete", "response.function_call_arguments.done"} <= set(told["strict"])


@engine
@pytest.mark.parametrize(
    ("what", "kind", "code", "param"),
    [
        ("unknown model", "NotFoundError", "model_not_found", "model"),
        ("too long", "BadRequestError", "context_length_exceeded", "input"),
        ("too long streamed", "BadRequestError", "context_length_exceeded", "input"),
        ("in the background", "BadRequestError", "unsupported", "background"),
        ("a tool of OpenAI's", "BadRequestError", "unsupported", "tools[0].type"),
        ("a picture", "BadRequestError", "unsupported", "input[0].content[0]"),
    ],
)
def test_errors_are_the_sdks_own(told: dict[str, Any], what: str, kind: str, code: str, param: str) -> None:
    """Each fault arrives as the class the SDK has for it, with the field at fault."""
    seen = told["errors"][what]
    assert (seen["class"], seen["code"], seen["param"]) == (kind, code, param)


@pytest.mark.parametrize("name", ["openai-2", "openai-3"])
def test_rare_events_are_as_the_sdk_has_them(name: str, python_with: Any, outside: dict[str, str]) -> None:
    """Thoughts, calls, log-probabilities, an end for each reason, and failures: all fit the SDK's types."""
    lines = b"\n".join(rare_lines())
    done = subprocess.run(
        [python_with(name), TYPES], input=lines, check=False, capture_output=True, timeout=120, env=outside
    )
    assert done.returncode == 0, done.stderr.decode()
    found = json.loads(done.stdout)
    assert {"response.reasoning_text.delta", "response.reasoning_text.done", "error", "response.failed"} <= set(found)
    assert found.count("response") == 3


def rare_lines() -> list[bytes]:
    top = TokenLogprob(id=1, data=b"\xc3", logprob=-1.0)
    deltas = [
        Delta(reasoning="hm", token_ids=(1,)),
        Delta(reasoning="!"),
        Delta(text="x", logprobs=(TokenLogprob(id=1, data=b"x", logprob=-0.5, top=(top,)),)),
        Delta(tool_calls=(ToolCallDelta(index=0, id="c", name="f", arguments="{"),)),
        Delta(tool_calls=(ToolCallDelta(index=0, arguments="}"), ToolCallDelta(index=1, id="d", name="g"))),
    ]
    begun = ResponseDocument(id="resp_1", created_at=7, model="m", temperature=0.5, top_p=1.0)
    lines: list[bytes] = []
    ends: tuple[Finish, ...] = ("tool_calls", "length", "content_filter")
    for finish in ends:
        end = Delta(finish=finish, usage=Usage(prompt_tokens=1, completion_tokens=5))
        events, document = ResponseEvents(begun), WholeResponse(begun)
        streamed = b"".join(events.take(0, delta) for delta in (*deltas, end)) + events.close()
        for delta in (*deltas, end):
            document.take(0, delta)
        lines += [*data(streamed), document.close()]
    for fault in (Fault(502, "gone", "server_error", code="engine_error"), Fault(429, "later", "rate_limit_error")):
        failing = ResponseEvents(begun)
        lines += data(b"".join(failing.take(0, delta) for delta in deltas) + failing.fail(fault))
    return lines


def data(stream: bytes) -> list[bytes]:
    return [line.removeprefix(b"data: ") for line in stream.splitlines() if line.startswith(b"data: ")]
