"""An error as clients are told of it: what all dialects tell, and OpenAI's shape of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from msgspec import Struct

from swarmgate.http.wire.heading import encode


@dataclass(frozen=True, slots=True)
class Fault:
    """What is told of an error, in whatever dialect; *kind* and *code* are OpenAI's words for it.

    *kind* is what OpenAI calls the type.  *param* names the field at fault, *code* is for programs; *request_id* is
    the id of the request, if it is known where this is said.
    """

    status: int
    message: str
    kind: str
    param: str | None = None
    code: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    request_id: str = ""

    @property
    def name(self) -> str:
        """Return what logs call it."""
        return self.code or self.kind


class ErrorDetail(Struct, kw_only=True):
    """What went wrong; *param* names the field at fault, *code* is for programs."""

    message: str
    type: str
    param: str | None
    code: str | None


class ErrorDocument(Struct, kw_only=True):
    """The body of every error."""

    error: ErrorDetail


def error_json(fault: Fault) -> bytes:
    """Return *fault* as OpenAI's document."""
    detail = ErrorDetail(message=fault.message, type=fault.kind, param=fault.param, code=fault.code)
    return encode(ErrorDocument(error=detail))


def error_event(fault: Fault) -> bytes:
    """Return the same document as a server-sent event, for when the status is out already."""
    return b"data: " + error_json(fault) + b"\n\n"
