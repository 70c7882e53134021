from __future__ import annotations

import msgspec
from swarmgate.http.wire.errors import Fault, error_event, error_json

FAULT = Fault(404, "no such model", "invalid_request_error", param="model", code="model_not_found")


def test_an_error_has_openais_shape() -> None:
    """Each of the four fields is there, also where there is nothing to say."""
    said = {"message": "no such model", "type": "invalid_request_error", "param": "model", "code": "model_not_found"}
    assert msgspec.json.decode(error_json(FAULT)) == {"error": said}
    bare = msgspec.json.decode(error_json(Fault(500, "x", "server_error")))
    assert bare == {"error": {"message": "x", "type": "server_error", "param": None, "code": None}}


def test_an_event_has_the_same_body() -> None:
    """Once a stream has begun, the same error goes out as an event."""
    assert error_event(FAULT) == b"data: " + error_json(FAULT) + b"\n\n"


def test_logs_call_it_by_its_code() -> None:
    """Or by its kind, where it has no code."""
    assert FAULT.name == "model_not_found"
    assert Fault(500, "x", "server_error").name == "server_error"
