"""Ollama's shape of an error, as a document and as the last line of a stream.  Pure."""

from __future__ import annotations

from msgspec import Struct

from swarmgate.http.wire.dialect import Dialect
from swarmgate.http.wire.errors import Fault
from swarmgate.http.wire.heading import encode

#: Not below ``/api`` as a whole: LocalAI's paths are there too.
SERVED = (
    "/api/chat",
    "/api/generate",
    "/api/embed",
    "/api/embeddings",
    "/api/tags",
    "/api/show",
    "/api/ps",
    "/api/version",
)
#: What changes models; here the operator does.
NOT_SERVED = ("/api/pull", "/api/push", "/api/create", "/api/copy", "/api/delete", "/api/blobs")


class LineError(Struct, kw_only=True):
    """The body of every error."""

    error: str


def line_error(fault: Fault) -> bytes:
    """Return *fault* as Ollama's document."""
    return encode(LineError(error=fault.message))


def line_failure(fault: Fault) -> bytes:
    """Return the same document as a line."""
    return line_error(fault) + b"\n"


LINES = Dialect(
    name="ollama",
    error=line_error,
    failure=line_failure,
    paths=SERVED + NOT_SERVED,
    stream_type=b"application/x-ndjson",
    ping=b" ",  # white space before the next document; an empty line would be none
    comments=False,
)
