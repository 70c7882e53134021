"""Errors into statuses, headers and OpenAI's error shape: the only room that does."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, cast

import msgspec
import structlog
from litestar.exceptions import HTTPException, MethodNotAllowedException, NotFoundException

from swarmgate.errors import QueueFull, RequestError, SwarmgateError, Unauthorized, Unavailable

_log = structlog.get_logger("swarmgate.http")
#: Trying the same again is of use where it is too early, or another try may meet a better engine.
_WORTH_RETRYING = frozenset({408, 429, 502, 503})
_SERVER = 500


class BodyTooLarge(RequestError):
    """The request's body is longer than the gateway reads."""

    status = 413
    code = "body_too_large"


class EncodedBody(RequestError):
    """The request's body is compressed."""

    status = 415
    code = "unsupported_encoding"


class UnknownPath(RequestError):
    """Nothing is served under the path."""

    status = 404
    code = "not_found"


class WrongMethod(RequestError):
    """The path is served, but not by this method."""

    status = 405
    code = "method_not_allowed"


class ClosingDown(Unavailable):
    """The gateway is being stopped; another one, or the next start, will answer."""

    code: ClassVar[str | None] = "shutting_down"


class ErrorDetail(msgspec.Struct, kw_only=True):
    """What went wrong; *param* names the field at fault, *code* is for programs."""

    message: str
    type: str
    param: str | None
    code: str | None


class ErrorDocument(msgspec.Struct, kw_only=True):
    """The body of every error."""

    error: ErrorDetail


@dataclass(frozen=True, slots=True)
class Fault:
    """An error as a client is told of it."""

    status: int
    body: ErrorDocument
    headers: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def json(self) -> bytes:
        """Return the body's bytes."""
        return msgspec.json.encode(self.body)

    @property
    def event(self) -> bytes:
        """Return the body as a server-sent event, for when the status is out already."""
        return b"data: " + self.json + b"\n\n"


def fault(error: BaseException) -> Fault:
    """Return what a client is told of *error*.  What was not raised on purpose is logged, not told."""
    error = leading(error)
    if isinstance(error, SwarmgateError):
        return _known(error)
    if isinstance(error, MethodNotAllowedException):
        allow = (error.headers or {}).get("allow", "")
        return _known(WrongMethod(f"this path does not take this method; it takes {allow}"), allow=allow)
    if isinstance(error, NotFoundException):
        return _known(UnknownPath("nothing is served under this path; /schema/openapi.json lists what is"))
    if isinstance(error, HTTPException) and error.status_code < _SERVER:
        return _told(
            error.status_code, ErrorDetail(message=error.detail, type=RequestError.type, param=None, code=None)
        )
    _log.error("http.failed", reason=repr(error), exc_info=error)
    detail = ErrorDetail(
        message="the gateway failed at this request; its log says more under the request's id",
        type=SwarmgateError.type,
        param=None,
        code=SwarmgateError.code,
    )
    return _told(_SERVER, detail)


def leading(error: BaseException) -> BaseException:
    """Return the first error of what may be a group of groups: concurrent tasks fail in groups."""
    while isinstance(error, BaseExceptionGroup):
        error = cast("BaseExceptionGroup[BaseException]", error).exceptions[0]
    return error


def _known(error: SwarmgateError, **headers: str) -> Fault:
    param = error.param if isinstance(error, RequestError) else None
    detail = ErrorDetail(message=str(error), type=error.type, param=param, code=error.code)
    if isinstance(error, QueueFull | Unavailable):
        headers["retry-after"] = str(max(1, math.ceil(error.retry_after)))
        headers["retry-after-ms"] = str(max(1, math.ceil(error.retry_after * 1000)))
    if isinstance(error, Unauthorized):
        headers["www-authenticate"] = "Bearer"
    return _told(error.status, detail, headers)


def _told(status: int, detail: ErrorDetail, headers: Mapping[str, str] | None = None) -> Fault:
    retry = {} if status in _WORTH_RETRYING else {"x-should-retry": "false"}
    return Fault(status=status, body=ErrorDocument(error=detail), headers={**(headers or {}), **retry})
