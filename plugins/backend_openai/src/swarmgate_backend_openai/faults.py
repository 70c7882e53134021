"""What a server answers when something is wrong, into the gateway's errors; pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import msgspec
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

_LONGEST = 500
_BAD_REQUEST, _NOT_FOUND, _TOO_LARGE, _UNPROCESSABLE = 400, 404, 413, 422
_BUSY = frozenset({429, 503})
_LOCKED = frozenset({401, 403})
_MISSING = frozenset({404, 405, 501})
_WORST_WAIT = 300.0
_STARTING = frozenset({"model_loading", "unavailable_error"})
_TOO_LONG = frozenset({"context_length_exceeded", "exceed_context_size_error"})


class _Detail(msgspec.Struct):
    """What servers say of an error; whatever else there is does not matter."""

    message: str
    type: str
    code: str
    param: str | None


def refusal(who: str, status: int, headers: Mapping[str, str], body: bytes) -> SwarmgateError:
    """Return what an answer with *status* means that the server *who* gave; header names are in lower case."""
    detail = _detail(body)
    message = f"{who} answered {status}: {detail.message}" if detail.message else f"{who} answered {status}"
    if status in _LOCKED:
        remedy = f"set api_key_file of the backend that asks {who}, or peer_api_key_file for --node"
        return EngineError(f"{message}; {remedy}")
    if status in _BUSY:
        return _busy(message, detail, retry_after(headers))
    if status == _NOT_FOUND and (detail.code == "model_not_found" or "model" in detail.message.lower()):
        return UnknownModel(detail.message or message, param=detail.param or "model")
    if status in _MISSING:
        return Unsupported(message)
    if status in {_BAD_REQUEST, _TOO_LARGE, _UNPROCESSABLE}:
        return _at_fault(detail, detail.message or message)
    return EngineError(message)


def told(who: str, error: object) -> SwarmgateError:
    """Return what an error means that came in a stream, as the field ``error`` of an event or all of it."""
    detail = _read(error)
    message = f"{who} broke off: {detail.message or 'it does not say why'}"
    if detail.code in _TOO_LONG or detail.type in _TOO_LONG:
        return ContextExceeded(detail.message, param=detail.param)
    if detail.type == "invalid_request_error" and detail.code not in {"404", "model_not_found"}:
        return _at_fault(detail, detail.message or message)
    if detail.type in {"service_unavailable", "rate_limit_error"}:
        return _busy(message, detail, 1.0)
    return EngineError(message)


def retry_after(headers: Mapping[str, str]) -> float:
    """Return after how many seconds to come back, one if *headers* do not say; dates are not understood."""
    for name, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        try:
            seconds = float(headers.get(name, "")) / unit
        except ValueError:
            continue
        if 0 <= seconds < float("inf"):
            return min(seconds, _WORST_WAIT)
    return 1.0


def _busy(message: str, detail: _Detail, seconds: float) -> Unavailable:
    kind = Starting if detail.code in _STARTING or detail.type in _STARTING else Unavailable
    return kind(message, retry_after=seconds)


def _at_fault(detail: _Detail, message: str) -> RequestError:
    if detail.code in _TOO_LONG or detail.type in _TOO_LONG:
        return ContextExceeded(message, param=detail.param)
    if detail.code == "unsupported":
        return Unsupported(message, param=detail.param)
    return RequestError(message, param=detail.param)


def _detail(body: bytes) -> _Detail:
    try:
        document: object = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError):
        return _read(body.decode("utf-8", "replace"))
    if isinstance(document, dict):
        fields = cast("dict[str, Any]", document)
        return _read(fields.get("error", fields.get("detail", fields)))
    return _read("")


def _read(error: object) -> _Detail:
    if isinstance(error, dict):
        fields = cast("dict[str, Any]", error)
        param = fields.get("param")
        return _Detail(
            message=_line(fields.get("message", "")),
            type=str(fields.get("type", "")),
            code=str(fields.get("code", "")),
            param=param[:_LONGEST] if isinstance(param, str) else None,
        )
    return _Detail(message=_line(error), type="", code="", param=None)


def _line(text: object) -> str:
    """Return *text* on one line of bounded length; pages made for browsers say nothing here."""
    said = " ".join(str(text).split())
    return "" if said.startswith("<") else said[:_LONGEST]
