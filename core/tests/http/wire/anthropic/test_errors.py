from __future__ import annotations

import msgspec
import pytest
from swarmgate.http.wire.anthropic.errors import MESSAGES, MessageError
from swarmgate.http.wire.errors import Fault


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "invalid_request_error"),
        (401, "authentication_error"),
        (404, "not_found_error"),
        (405, "invalid_request_error"),
        (413, "request_too_large"),
        (429, "rate_limit_error"),
        (500, "api_error"),
        (502, "api_error"),
        (503, "overloaded_error"),
    ],
)
def test_each_status_has_anthropics_word(status: int, kind: str) -> None:
    """In its document, with the request's id where it is known."""
    document = MESSAGES.error(Fault(status, "no", "server_error", request_id="req_1"))
    assert msgspec.json.decode(document) == {
        "type": "error",
        "error": {"type": kind, "message": "no"},
        "request_id": "req_1",
    }
    assert "request_id" not in msgspec.json.decode(MESSAGES.error(Fault(status, "no", "server_error")))


def test_a_stream_ends_with_an_error_event() -> None:
    """Named, as all events are."""
    event = MESSAGES.failure(Fault(502, "a\nb", "server_error"))
    name, data, *rest = event.split(b"\n")
    assert (name, rest) == (b"event: error", [b"", b""])
    assert msgspec.json.decode(data.removeprefix(b"data: "), type=MessageError).error.message == "a\nb"


def test_a_silent_stream_says_ping() -> None:
    """As an event that clients pass over."""
    assert MESSAGES.ping == b'event: ping\ndata: {"type":"ping"}\n\n'
    assert MESSAGES.spoken_at("/v1/messages/count_tokens")


def test_a_prompt_that_does_not_fit_is_told_in_the_words_that_agents_look_for() -> None:
    """They shorten the conversation then; of how much there was and how much may be, the message goes on as ever."""
    fault = Fault(400, "the prompt has 9 tokens", "invalid_request_error", code="context_length_exceeded")
    document = msgspec.json.decode(MESSAGES.error(fault), type=MessageError)
    assert document.error.message == "prompt is too long: the prompt has 9 tokens"
