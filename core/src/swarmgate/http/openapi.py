"""``/schema/openapi.json``: every path, every body, every status, from the structs that serve them."""

from __future__ import annotations

from typing import Any, get_args

import msgspec
from litestar import Response, route
from litestar.handlers import HTTPRouteHandler

from swarmgate.http.door import Door
from swarmgate.http.draining import DrainBody
from swarmgate.http.faults import ErrorDocument
from swarmgate.http.keys import OPEN_PATHS
from swarmgate.http.requests import HIGHEST_LIMIT, USUAL_LIMIT
from swarmgate.http.revoking import RevokeBody, Revoked
from swarmgate.http.routes import READ, json
from swarmgate.http.standing import Alive, Loading, Readiness, Version
from swarmgate.http.wire.chat import ChatBody
from swarmgate.http.wire.chat_documents import ChatCompletion, ChatCompletionChunk
from swarmgate.http.wire.completion import CompletionBody
from swarmgate.http.wire.completion_forms import Completion, CompletionChunk
from swarmgate.http.wire.embedding import EmbeddingBody, EmbeddingList
from swarmgate.http.wire.models import ModelDocument, ModelList
from swarmgate.http.wire.requests import RequestDocument, RequestList
from swarmgate.http.wire.swarm import Drained, SwarmDocument
from swarmgate.http.wire.tokens import DetokenizeBody, TextOfTokens, TokenizeBody, TokensDocument
from swarmgate.http.wire.watching import ByeDocument, EventName, HelloDocument, SampleDocument, WatchedSwarm

_Json = dict[str, Any]

_STRUCTS: tuple[type, ...] = (
    ErrorDocument,
    Alive,
    Loading,
    Readiness,
    Version,
    ChatBody,
    ChatCompletion,
    ChatCompletionChunk,
    CompletionBody,
    Completion,
    CompletionChunk,
    EmbeddingBody,
    EmbeddingList,
    ModelDocument,
    ModelList,
    SwarmDocument,
    DrainBody,
    Drained,
    RevokeBody,
    Revoked,
    RequestList,
    RequestDocument,
    TokenizeBody,
    TokensDocument,
    DetokenizeBody,
    TextOfTokens,
    HelloDocument,
    WatchedSwarm,
    SampleDocument,
    ByeDocument,
)
_ERRORS = {
    400: "The request is at fault; `param` names the field.",
    401: "API keys are configured and the request has none of them.",
    404: "No such model, request or path, or no swarm.",
    413: "The body is longer than this gateway reads.",
    415: "The body is compressed.",
    429: "Too many requests wait already; come back after `Retry-After`.",
    500: "The gateway failed; its log says more.",
    502: "The engine failed at this request.",
    503: "Nobody can answer now, such as while the model loads; come back after `Retry-After`.",
    508: "The request goes in circles between gateways, or has come through too many.",
}
_LIMIT: _Json = {"type": "integer", "minimum": 1, "maximum": HIGHEST_LIMIT, "default": USUAL_LIMIT}
_STANDARD_HEADERS: _Json = {"X-Request-ID": {"$ref": "#/components/headers/X-Request-ID"}}
_ANSWER_HEADERS: _Json = {
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


def openapi_route(door: Door) -> HTTPRouteHandler:
    """Return the handler of the description of everything that is served."""
    description = msgspec.json.encode(openapi_document(door.version, keys=bool(door.limits.api_keys)))

    @route("/schema/openapi.json", http_method=READ)
    async def openapi() -> Response[bytes]:
        return json(description)

    return openapi


def openapi_document(version: str, *, keys: bool) -> _Json:
    """Return the OpenAPI document; *keys* says whether requests need one."""
    _, schemas = msgspec.json.schema_components(_STRUCTS, ref_template="#/components/schemas/{name}")
    document: _Json = {
        "openapi": "3.1.0",
        "info": {
            "title": "Swarmgate",
            "version": version,
            "description": "OpenAI's API in front of models of your own, and what watches over them.",
        },
        "paths": _paths(),
        "components": {
            "schemas": schemas,
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
            "headers": {
                "X-Request-ID": {"description": "The client's own, or a new one.", "schema": {"type": "string"}}
            },
        },
    }
    if keys:
        for path, item in document["paths"].items():
            if path not in OPEN_PATHS:
                for operation in item.values():
                    operation["security"] = [{"key": []}]
    return document


def _paths() -> _Json:
    return {
        "/v1/chat/completions": _posted(
            "chat", "Answer a chat.", ChatBody, _answer(ChatCompletion, ChatCompletionChunk), session=True
        ),
        "/v1/completions": _posted(
            "complete", "Continue a text.", CompletionBody, _answer(Completion, CompletionChunk), session=True
        ),
        "/v1/embeddings": _posted("embed", "Embed texts.", EmbeddingBody, _content(EmbeddingList)),
        "/v1/models": _read("models", "List the models.", {200: ("All models.", _content(ModelList))}, 401, 500),
        "/v1/models/{name}": _read(
            "model",
            "Show a model; its name may have slashes.",
            {200: ("The model.", _content(ModelDocument))},
            400,
            401,
            404,
            500,
            parameters=[{"name": "name", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}],
        ),
        "/v1/swarm": _read(
            "swarm",
            "Show which part of which model lies where, and who lends.",
            {200: ("What the gateway sees of its swarm.", _content(SwarmDocument))},
            401,
            500,
        ),
        "/v1/swarm/events": _read(
            "swarm_events",
            "Watch the swarm: `hello`, then the whole state as `swarm` after each change, and `sample` for the lines.",
            {200: ("Events, until the gateway stops.", _watched())},
            401,
            500,
        ),
        "/v1/swarm/drain": _posted("drain", "Send nothing new to a node, or again.", DrainBody, _content(Drained)),
        "/v1/swarm/revoke": _posted("revoke", "Take a member out of the swarm.", RevokeBody, _content(Revoked)),
        "/p2p/token": _token("token"),
        "/api/p2p/token": _token("localai_token"),
        "/v1/requests": _read(
            "requests",
            "List the latest requests, the newest first.",
            {200: ("The latest requests.", _content(RequestList))},
            400,
            401,
            500,
            parameters=[{"name": "limit", "in": "query", "schema": _LIMIT}],
        ),
        "/v1/requests/{id}": _read(
            "request",
            "Show what became of a request, and why it went where it went; its id may have slashes.",
            {200: ("What became of it.", _content(RequestDocument))},
            400,
            401,
            404,
            500,
            parameters=[{"name": "id", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}],
        ),
        "/tokenize": _posted("tokenize", "Cut text into tokens.", TokenizeBody, _content(TokensDocument)),
        "/detokenize": _posted("detokenize", "Join tokens to text.", DetokenizeBody, _content(TextOfTokens)),
        "/healthz": _read("healthz", "Say that the process answers.", {200: ("It does.", _content(Alive))}, 500),
        "/livez": _read("livez", "Say that the process answers.", {200: ("It does.", _content(Alive))}, 500),
        "/readyz": _read(
            "readyz",
            "Say whether requests can be answered now, by all models or by one.",
            {200: ("They can.", _content(Readiness)), 503: ("Not all; the checks say why.", _content(Readiness))},
            404,
            500,
            parameters=[{"name": "model", "in": "query", "schema": {"type": "string"}}],
        ),
        "/health": _read(
            "health",
            "Say the same in llama-server's words.",
            {200: ("Ready.", _content(Alive)), 503: ("Loading.", _content(Loading))},
            401,
            500,
        ),
        "/version": _read("version", "Say what is running.", {200: ("The version.", _content(Version))}, 401, 500),
        "/metrics": _read(
            "metrics",
            "Give Prometheus its numbers.",
            {200: ("In Prometheus' text format.", {"text/plain": {"schema": {"type": "string"}}})},
            401,
            500,
        ),
        "/schema/openapi.json": _read(
            "openapi",
            "Give this document.",
            {200: ("OpenAPI 3.1.", {"application/json": {"schema": {"type": "object"}}})},
            401,
            500,
        ),
    }


def _token(operation: str) -> _Json:
    text: _Json = {"text/plain": {"schema": {"type": "string"}}}
    return _read(operation, "Give the token that lets machines into the swarm.", {200: ("It.", text)}, 401, 404, 500)


def _watched() -> _Json:
    kinds = (HelloDocument, WatchedSwarm, SampleDocument, ByeDocument)
    data: _Json = {
        "type": "string",
        "contentMediaType": "application/json",
        "contentSchema": {"anyOf": [{"$ref": f"#/components/schemas/{kind.__name__}"} for kind in kinds]},
    }
    properties: _Json = {"event": {"enum": list(get_args(EventName))}, "id": {"type": "string"}, "data": data}
    return {"text/event-stream": {"schema": {"type": "object", "properties": properties, "required": ["data"]}}}


def _posted(operation: str, summary: str, body: type, content: _Json, *, session: bool = False) -> _Json:
    responses = {"200": _response("The answer.", content)} | _errors(*_ERRORS)
    responses["200"]["headers"] = {**responses["200"]["headers"], **_ANSWER_HEADERS}
    described: _Json = {
        "operationId": operation,
        "summary": summary,
        "requestBody": {"required": True, "content": _content(body)},
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


def _read(
    operation: str,
    summary: str,
    answers: dict[int, tuple[str, _Json]],
    *errors: int,
    parameters: list[_Json] | None = None,
) -> _Json:
    responses = {str(status): _response(text, content) for status, (text, content) in answers.items()}
    described: _Json = {"operationId": operation, "summary": summary, "responses": responses | _errors(*errors)}
    if parameters:
        described["parameters"] = parameters
    return {"get": described}


def _errors(*statuses: int) -> _Json:
    return {str(status): _response(_ERRORS[status], _content(ErrorDocument)) for status in statuses}


def _response(description: str, content: _Json) -> _Json:
    return {"description": description, "content": content, "headers": _STANDARD_HEADERS}


def _content(kind: type) -> _Json:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{kind.__name__}"}}}


def _answer(whole: type, chunk: type) -> _Json:
    """Return a whole document's content, and that of a stream whose events are of the kind *chunk*.

    Before OpenAPI 3.2 the schema of an event stream describes one event.
    """
    events = [{"$ref": f"#/components/schemas/{kind.__name__}"} for kind in (chunk, ErrorDocument)]
    data: _Json = {
        "anyOf": [
            {"const": "[DONE]", "description": "The end of the stream."},
            {"type": "string", "contentMediaType": "application/json", "contentSchema": {"anyOf": events}},
        ]
    }
    event = {"type": "object", "properties": {"data": data}, "required": ["data"]}
    return _content(whole) | {"text/event-stream": {"schema": event}}
