"""The words in which the OpenAPI document says what is served: operations, statuses, contents.  Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from swarmgate.http.wire.errors import ErrorDocument

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Described:
    """What is served in a dialect: its *paths*, and the *structs* whose schemas they name."""

    paths: Json
    structs: tuple[type, ...]


#: What each status means, whatever was asked.
ERRORS = {
    400: "The request is at fault; `param` names the field.",
    401: "API keys are configured and the request has none of them.",
    404: "No such model, request or path, or no swarm.",
    409: "The state of what it is about forbids it.",
    413: "The body is longer than this gateway reads.",
    415: "The body is compressed.",
    429: "Too many requests wait already; come back after `Retry-After`.",
    500: "The gateway failed; its log says more.",
    502: "The engine failed at this request.",
    503: "Nobody can answer now, such as while the model loads; come back after `Retry-After`.",
    508: "The request goes in circles between gateways, or has come through too many.",
}
_STANDARD_HEADERS: Json = {"X-Request-ID": {"$ref": "#/components/headers/X-Request-ID"}}
_ANSWER_HEADERS: Json = {
    name: {"description": description, "schema": {"type": kind}}
    for name, kind, description in (
        ("X-Gateway-Ignored-Fields", "string", "Fields of the body that nothing was done with."),
        ("X-Gateway-Worker", "string", "The backend that answered, or the node's name."),
        ("X-Gateway-Attempts", "integer", "How many were asked."),
        ("X-Gateway-Resumed", "integer", "How often the answer was carried on by another; in streams until its head."),
        ("X-Gateway-Route-Reason", "string", "Why the one asked last was chosen."),
        ("X-Gateway-Queue-Ms", "integer", "How long the request waited for a slot."),
    )
}


def asking(
    operation: str, summary: str, body: type, answer: Json, *, session: bool = False, error: type = ErrorDocument
) -> Json:
    """Describe what is posted a *body* and answered with the content *answer*, or with an *error*."""
    responses = {"200": _response("The answer.", answer)} | _errors(*ERRORS, error=error)
    responses["200"]["headers"] = {**responses["200"]["headers"], **_ANSWER_HEADERS}
    described: Json = {
        "operationId": operation,
        "summary": summary,
        "requestBody": {"required": True, "content": holding(body)},
        "responses": responses,
    }
    if session:
        described["parameters"] = [
            {
                "name": "X-Session-ID",
                "in": "header",
                "description": "What the client calls its conversation: balancers may keep it in one place.",
                "schema": {"type": "string"},
            }
        ]
    return {"post": described}


def looking(
    operation: str,
    summary: str,
    answers: dict[int, tuple[str, Json]],
    *errors: int,
    parameters: list[Json] | None = None,
    method: str = "get",
    error: type = ErrorDocument,
) -> Json:
    """Describe what is asked for without a body: *answers* by their status, and the statuses of *errors*."""
    responses = {str(status): _response(text, content) for status, (text, content) in answers.items()}
    described: Json = {
        "operationId": operation,
        "summary": summary,
        "responses": responses | _errors(*errors, error=error),
    }
    if parameters:
        described["parameters"] = parameters
    return {method: described}


def holding(kind: type, *others: type) -> Json:
    """Return the content that is one document of that *kind*, or of one of the *others* for other clients."""
    schema = {"anyOf": [_of(each) for each in (kind, *others)]} if others else _of(kind)
    return {"application/json": {"schema": schema}}


def streaming(whole: type, *chunks: type, end: str = "", error: type = ErrorDocument) -> Json:
    """Return a *whole* document's content, and that of a stream of *chunks*, or an *error*, with *end* as its end.

    Before OpenAPI 3.2 the schema of an event stream describes one event.
    """
    events = [_of(kind) for kind in (*chunks, error)]
    document: Json = {"type": "string", "contentMediaType": "application/json", "contentSchema": {"anyOf": events}}
    data = {"anyOf": [{"const": end, "description": "The end of the stream."}, document]} if end else document
    event = {"type": "object", "properties": {"data": data}, "required": ["data"]}
    return holding(whole) | {"text/event-stream": {"schema": event}}


def lines(whole: type, error: type) -> Json:
    """Return the content that is one document, or a stream of lines of which each is such a document or an *error*."""
    line: Json = {"anyOf": [_of(whole), _of(error)]}
    return holding(whole) | {"application/x-ndjson": {"schema": line}}


def _errors(*statuses: int, error: type) -> Json:
    return {str(status): _response(ERRORS[status], holding(error)) for status in statuses}


def _response(description: str, content: Json) -> Json:
    return {"description": description, "content": content, "headers": _STANDARD_HEADERS}


def _of(kind: type) -> Json:
    return {"$ref": f"#/components/schemas/{kind.__name__}"}
