from __future__ import annotations

import pytest
from litestar.exceptions import HTTPException, MethodNotAllowedException, NotFoundException
from structlog.testing import capture_logs
from swarmgate.errors import (
    ContextExceeded,
    EngineError,
    NoCandidate,
    QueueFull,
    RequestError,
    Starting,
    Unauthorized,
    UnknownModel,
    Unreachable,
    Unsupported,
)
from swarmgate.http.faults import BodyTooLarge, ClosingDown, EncodedBody, fault


@pytest.mark.parametrize(
    ("error", "status", "kind", "code"),
    [
        (RequestError("x", param="n"), 400, "invalid_request_error", None),
        (ContextExceeded("x"), 400, "invalid_request_error", "context_length_exceeded"),
        (Unsupported("x"), 400, "invalid_request_error", "unsupported"),
        (Unauthorized("x"), 401, "invalid_request_error", "invalid_api_key"),
        (UnknownModel("x"), 404, "invalid_request_error", "model_not_found"),
        (NotFoundException(), 404, "invalid_request_error", "not_found"),
        (MethodNotAllowedException(), 405, "invalid_request_error", "method_not_allowed"),
        (BodyTooLarge("x"), 413, "invalid_request_error", "body_too_large"),
        (EncodedBody("x"), 415, "invalid_request_error", "unsupported_encoding"),
        (HTTPException("x", status_code=418), 418, "invalid_request_error", None),
        (QueueFull("x"), 429, "rate_limit_error", "rate_limit_exceeded"),
        (EngineError("x"), 502, "server_error", "engine_error"),
        (Unreachable("x"), 502, "server_error", "unreachable"),
        (Starting("x"), 503, "service_unavailable", "model_loading"),
        (NoCandidate("x"), 503, "service_unavailable", "no_candidate"),
        (ClosingDown("x"), 503, "service_unavailable", "shutting_down"),
    ],
)
def test_each_error_has_its_status(error: Exception, status: int, kind: str, code: str | None) -> None:
    """Every error becomes a status and OpenAI's words for it."""
    found = fault(error)
    assert found.status == status
    assert (found.kind, found.code) == (kind, code)


def test_the_param_is_told() -> None:
    """A request error's field reaches the client."""
    assert fault(RequestError("x", param="messages[0]")).param == "messages[0]"


def test_waiting_times_are_told_twice() -> None:
    """Where coming back helps, two headers say when: whole seconds, and milliseconds."""
    assert dict(fault(QueueFull("x", retry_after=2.25)).headers) == {"retry-after": "3", "retry-after-ms": "2250"}
    assert dict(fault(Starting("x", retry_after=0)).headers) == {"retry-after": "1", "retry-after-ms": "1"}


def test_pointless_retries_are_prevented() -> None:
    """Where coming back is no use, clients are told not to."""
    assert fault(RequestError("x")).headers["x-should-retry"] == "false"
    with capture_logs():
        assert fault(ValueError("x")).headers["x-should-retry"] == "false"
    assert "x-should-retry" not in fault(EngineError("x")).headers


def test_wrong_methods_are_told_the_right_ones() -> None:
    """405 comes with Allow."""
    assert fault(MethodNotAllowedException(headers={"allow": "GET"})).headers["allow"] == "GET"


def test_surprises_are_logged_and_not_told() -> None:
    """What was not raised on purpose becomes 500, and its text stays in the log."""
    with capture_logs() as events:
        found = fault(ExceptionGroup("tasks", [ExceptionGroup("more", [ValueError("secret")])]))
    assert found.status == 500
    assert "secret" not in found.message
    assert [(event["event"], event["reason"]) for event in events] == [("http.failed", "ValueError('secret')")]


def test_groups_are_told_by_their_first_error() -> None:
    """An error of ours that concurrent tasks wrapped is told as itself."""
    assert fault(ExceptionGroup("tasks", [QueueFull("x")])).status == 429
