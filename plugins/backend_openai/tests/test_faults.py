from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from swarmgate.api import (
    ContextExceeded,
    EngineError,
    RequestError,
    Starting,
    SwarmgateError,
    Unavailable,
    UnknownModel,
    Unsupported,
)
from swarmgate_backend_openai.faults import refusal, retry_after, told


def said(**error: Any) -> bytes:
    return json.dumps({"error": error}).encode()


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, said(message="bad temperature", param="temperature"), RequestError),
        (400, said(message="too long", code="context_length_exceeded"), ContextExceeded),
        (400, said(message="too long", type="exceed_context_size_error"), ContextExceeded),
        (400, said(message="no", code="unsupported"), Unsupported),
        (413, b"", RequestError),
        (422, json.dumps({"detail": [{"msg": "field required"}]}).encode(), RequestError),
        (404, said(message="no model is called 'x'", code="model_not_found"), UnknownModel),
        (404, b'{"error": "model \'x\' not found"}', UnknownModel),
        (404, b'{"detail": "Not Found"}', Unsupported),
        (405, b"", Unsupported),
        (501, b"", Unsupported),
        (429, said(message="slow down"), Unavailable),
        (503, said(message="later"), Unavailable),
        (503, said(message="Loading model", type="unavailable_error"), Starting),
        (503, said(message="not yet", code="model_loading"), Starting),
        (500, b"<html>oops</html>", EngineError),
        (502, said(message="died"), EngineError),
        (508, said(message="in a circle", code="loop_detected"), EngineError),
        (302, b"", EngineError),
    ],
)
def test_each_status_has_its_error(status: int, body: bytes, kind: type[SwarmgateError]) -> None:
    """What another server may do better passes; what no server can do does not."""
    assert type(refusal("n", status, {}, body)) is kind


@pytest.mark.parametrize("status", [401, 403])
def test_a_wrong_key_is_the_operators_fault(status: int) -> None:
    """The message names the options that hold the key, and the request is not blamed."""
    error = refusal("n:1", status, {}, said(message="who are you?"))
    assert isinstance(error, EngineError)
    assert "api_key_file of the backend that asks n:1" in str(error)


def test_what_the_server_says_is_passed_on() -> None:
    """The message and the field at fault are the server's, on one line."""
    error = refusal("n", 400, {}, said(message="bad\n  top_p", param="top_p"))
    assert isinstance(error, RequestError)
    assert (str(error), error.param) == ("bad top_p", "top_p")


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, 1.0),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after-ms": "250", "retry-after": "7"}, 0.25),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}, 1.0),
        ({"retry-after": "-3"}, 1.0),
        ({"retry-after": "inf"}, 1.0),
        ({"retry-after": "nan"}, 1.0),
        ({"retry-after": "99999999"}, 300.0),
    ],
)
def test_when_to_come_back(headers: dict[str, str], seconds: float) -> None:
    """The finer header counts first; nonsense counts as nothing."""
    assert retry_after(headers) == seconds
    busy = refusal("n", 503, headers, b"")
    assert isinstance(busy, Unavailable)
    assert busy.retry_after == seconds


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"message": "died", "type": "server_error"}, EngineError),
        ({"message": "stopping", "type": "service_unavailable", "code": "shutting_down"}, Unavailable),
        ({"message": "bad", "type": "invalid_request_error"}, RequestError),
        ({"message": "long", "type": "invalid_request_error", "code": "context_length_exceeded"}, ContextExceeded),
        ("out of memory", EngineError),
        (7, EngineError),
    ],
)
def test_an_error_in_a_stream_is_one_too(error: object, kind: type[SwarmgateError]) -> None:
    """It is told by its type, since the status is out already."""
    assert type(told("n", error)) is kind


@given(st.integers(100, 599), st.binary(max_size=64), st.recursive(st.none() | st.text() | st.integers(), st.lists))
def test_no_answer_breaks_it(status: int, body: bytes, error: object) -> None:
    """Whatever a server says becomes one of our errors, of bounded length."""
    for found in (refusal("n", status, {}, body), told("n", error)):
        assert isinstance(found, SwarmgateError)
        assert len(str(found)) < 700
