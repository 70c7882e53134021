"""Errors into statuses, headers and OpenAI's words for them: the only room that does."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar, cast

import structlog
from litestar.exceptions import HTTPException, MethodNotAllowedException, NotFoundException

from swarmgate.errors import QueueFull, RequestError, SwarmgateError, Unauthorized, Unavailable
from swarmgate.http.wire.errors import Fault

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
        return _told(error.status_code, error.detail, RequestError.type)
    _log.error("http.failed", reason=repr(error), exc_info=error)
    message = "the gateway failed at this request; its log says more under the request's id"
    return _told(_SERVER, message, SwarmgateError.type, code=SwarmgateError.code)


def leading(error: BaseException) -> BaseException:
    """Return the first error of what may be a group of groups: concurrent tasks fail in groups."""
    while isinstance(error, BaseExceptionGroup):
        error = cast("BaseExceptionGroup[BaseException]", error).exceptions[0]
    return error


def _known(error: SwarmgateError, **headers: str) -> Fault:
    if isinstance(error, QueueFull | Unavailable):
        headers["retry-after"] = str(max(1, math.ceil(error.retry_after)))
        headers["retry-after-ms"] = str(max(1, math.ceil(error.retry_after * 1000)))
    if isinstance(error, Unauthorized):
        headers["www-authenticate"] = "Bearer"
    param = error.param if isinstance(error, RequestError) else None
    return _told(error.status, str(error), error.type, param=param, code=error.code, headers=headers)


def _told(
    status: int,
    message: str,
    kind: str,
    *,
    param: str | None = None,
    code: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Fault:
    retry = {} if status in _WORTH_RETRYING else {"x-should-retry": "false"}
    return Fault(status, message, kind, param=param, code=code, headers={**(headers or {}), **retry})
