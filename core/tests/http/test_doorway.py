from __future__ import annotations

from collections.abc import Callable

import pytest
import structlog
from structlog.testing import LogCapture, capture_logs
from swarmgate.echo import EchoBackend
from swarmgate.http.app import application
from swarmgate.http.door import Door
from swarmgate.http.doorway import Doorway
from swarmgate.http.records import Records
from swarmgate.metrics import Metrics
from visitor import Visitor

pytestmark = pytest.mark.anyio
MakeDoor = Callable[..., Door]
_CHAT = b'{"messages":[{"role":"user","content":"hi"}]}'


async def test_a_sane_request_id_is_echoed(make_door: MakeDoor) -> None:
    """The client's id comes back, and not for a header's name alone: also on errors."""
    app = application(make_door(EchoBackend()))
    for path in ("/v1/models", "/nothing"):
        visitor = await Visitor(path=path, method="GET", headers={"X-Request-ID": "trace-1:a/b"}).visit(app)
        assert visitor.answered["x-request-id"] == "trace-1:a/b"


@pytest.mark.parametrize("request_id", ["", "a b", "x" * 129, "é", "a\r\nb"])
async def test_other_request_ids_are_replaced(make_door: MakeDoor, request_id: str) -> None:
    """An id that could break a log or a header is not taken."""
    visitor = Visitor(path="/healthz", method="GET", headers={"X-Request-ID": request_id})
    await visitor.visit(application(make_door(EchoBackend())))
    assert visitor.answered["x-request-id"].startswith("req_")


async def test_each_request_is_told_once(make_door: MakeDoor) -> None:
    """One event has the route, the status, the seconds and the tokens of a request."""
    app = application(make_door(EchoBackend()))
    with capture_logs() as events:
        await Visitor(body=[_CHAT]).visit(app)
        await Visitor(path="/v1/models/nothing", method="GET").visit(app)
    told = [event for event in events if event["event"] == "http.answered"]
    assert [(event["route"], event["status"], event["log_level"]) for event in told] == [
        ("/v1/chat/completions", 200, "info"),
        ("/v1/models/{name}", 404, "info"),
    ]
    assert told[0].items() >= {"model": "echo", "worker": "b0", "tokens": 2, "prompt_tokens": 2, "attempts": 1}.items()
    assert told[1]["reason"] == "model_not_found"
    assert all(0 <= event["seconds"] < 60 for event in told)


async def test_probes_are_told_quietly(make_door: MakeDoor) -> None:
    """What is asked every few seconds does not fill the log."""
    with capture_logs() as events:
        await Visitor(path="/readyz", method="GET").visit(application(make_door(EchoBackend())))
    assert [event["log_level"] for event in events] == ["debug"]


async def test_every_line_has_the_request_id(make_door: MakeDoor) -> None:
    """Whatever is logged on the way, in any task, has the id of its request."""
    capture = LogCapture()
    structlog.configure(processors=[structlog.contextvars.merge_contextvars, capture])
    try:
        app = application(make_door(EchoBackend()))
        await Visitor(body=[_CHAT[:-1] + b',"n":2}'], headers={"X-Request-ID": "mine"}).visit(app)
    finally:
        structlog.reset_defaults()
    assert capture.entries
    assert all(entry["request_id"].startswith("mine") for entry in capture.entries)


async def test_a_failure_of_the_application_is_an_error_document() -> None:
    """Even what no room caught is told in OpenAI's shape, without its text."""

    async def broken(*_: object) -> None:
        raise ValueError("secret")

    with capture_logs() as events:
        visitor = await Visitor().visit(Doorway(broken, Metrics("0"), Records(0)))
    assert visitor.status == 500
    assert b"secret" not in visitor.content
    assert [event["event"] for event in events] == ["http.failed", "http.answered"]
