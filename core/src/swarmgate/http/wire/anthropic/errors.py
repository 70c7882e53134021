"""Anthropic's shape of an error, as a document and as the last event of a stream.  Pure."""

from __future__ import annotations

from msgspec import UNSET, Struct, UnsetType

from swarmgate.errors import ContextExceeded
from swarmgate.http.wire.dialect import Dialect
from swarmgate.http.wire.errors import Fault
from swarmgate.http.wire.heading import encode

_KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
}
_SERVER = 500
#: With these words the API begins what it says of a prompt that does not fit; agents look for them, to shorten it.
_TOO_LONG = "prompt is too long"


class MessageFault(Struct, kw_only=True):
    """What went wrong."""

    type: str
    message: str


class MessageError(Struct, kw_only=True, tag_field="type", tag="error"):
    """The body of every error."""

    error: MessageFault
    request_id: str | UnsetType = UNSET


def message_error(fault: Fault) -> bytes:
    """Return *fault* as Anthropic's document."""
    kind = _KINDS.get(fault.status, "api_error" if fault.status >= _SERVER else "invalid_request_error")
    message = f"{_TOO_LONG}: {fault.message}" if fault.code == ContextExceeded.code else fault.message
    told = MessageFault(type=kind, message=message)
    return encode(MessageError(error=told, request_id=fault.request_id or UNSET))


def message_failure(fault: Fault) -> bytes:
    """Return the same document as an event, for when the status is out already."""
    return b"event: error\ndata: " + message_error(fault) + b"\n\n"


MESSAGES = Dialect(
    name="anthropic",
    error=message_error,
    failure=message_failure,
    paths=("/v1/messages",),
    ping=b'event: ping\ndata: {"type":"ping"}\n\n',
    id_header=b"request-id",
)
