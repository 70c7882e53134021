from __future__ import annotations

import msgspec
from swarmgate.http.wire.errors import Fault
from swarmgate.http.wire.ollama.errors import LINES


def test_an_error_is_a_document_or_a_line() -> None:
    """The same one, whatever the status."""
    fault = Fault(404, 'no "x"\nhere', "invalid_request_error", code="model_not_found")
    document = LINES.error(fault)
    assert msgspec.json.decode(document) == {"error": 'no "x"\nhere'}
    assert LINES.failure(fault) == document + b"\n"
    assert b"\n" not in document


def test_a_silent_stream_gets_white_space() -> None:
    """Which stands before the next document without being a line of its own."""
    assert msgspec.json.decode(LINES.ping + LINES.ping + b'{"done":true}') == {"done": True}
    assert not LINES.comments


def test_localais_paths_are_not_ollamas() -> None:
    """Though they too are below /api."""
    assert LINES.spoken_at("/api/blobs/sha256:0")
    assert not LINES.spoken_at("/api/p2p/token")
