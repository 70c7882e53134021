"""``/schema/openapi.json``: every path, every body, every status, from the structs that serve them."""

from __future__ import annotations

from copy import deepcopy

import msgspec
from litestar import Response, route
from litestar.handlers import HTTPRouteHandler

from swarmgate.http.describing import Described, Json, asking, holding, looking, streaming
from swarmgate.http.door import Door
from swarmgate.http.draining import DrainBody
from swarmgate.http.keys import OPEN_FOLDER, OPEN_PATHS
from swarmgate.http.loading import LoadBody, UnloadBody
from swarmgate.http.requests import HIGHEST_LIMIT, USUAL_LIMIT
from swarmgate.http.revoking import RevokeBody, Revoked
from swarmgate.http.routes import READ, json
from swarmgate.http.standing import Alive, Loading, Readiness, Version
from swarmgate.http.wire.anthropic.described import DESCRIBED as MESSAGES
from swarmgate.http.wire.anthropic.documents import ModelEntry, ModelPage
from swarmgate.http.wire.chat import ChatBody
from swarmgate.http.wire.chat_documents import ChatCompletion, ChatCompletionChunk
from swarmgate.http.wire.completion import CompletionBody
from swarmgate.http.wire.completion_forms import Completion, CompletionChunk
from swarmgate.http.wire.embedding import EmbeddingBody, EmbeddingList
from swarmgate.http.wire.errors import ErrorDocument
from swarmgate.http.wire.localai import NodeList, P2pNodes, P2pStats, WorkerNodes
from swarmgate.http.wire.logs import LogEvent, LogList
from swarmgate.http.wire.models import ModelDocument, ModelList, Ordered
from swarmgate.http.wire.ollama.described import DESCRIBED as LINES
from swarmgate.http.wire.ranking import Ranking, RerankBody
from swarmgate.http.wire.requests import RequestDocument, RequestList
from swarmgate.http.wire.responses.described import RESPONSES
from swarmgate.http.wire.swarm import Drained, SwarmDocument
from swarmgate.http.wire.tokens import DetokenizeBody, TextOfTokens, TokenizeBody, TokensDocument
from swarmgate.http.wire.watching import HelloDocument, SampleDocument, WatchedSwarm
from swarmgate.journal import LEVELS

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
    RerankBody,
    Ranking,
    ModelDocument,
    ModelList,
    LoadBody,
    UnloadBody,
    Ordered,
    SwarmDocument,
    DrainBody,
    Drained,
    RevokeBody,
    Revoked,
    P2pNodes,
    WorkerNodes,
    NodeList,
    P2pStats,
    RequestList,
    RequestDocument,
    LogList,
    LogEvent,
    TokenizeBody,
    TokensDocument,
    DetokenizeBody,
    TextOfTokens,
    HelloDocument,
    WatchedSwarm,
    SampleDocument,
)
#: What is served beside chats, completions, embeddings and what watches over them.
_DIALECTS: tuple[Described, ...] = (RESPONSES, MESSAGES, LINES)
_LIMIT: Json = {"type": "integer", "minimum": 1, "maximum": HIGHEST_LIMIT, "default": USUAL_LIMIT}
_TEXT: Json = {"schema": {"type": "string"}}
_PAGE: tuple[str, Json] = ("The page.", {"text/html": _TEXT, "text/plain": _TEXT})
_LOG_PARAMETERS: list[Json] = [
    {"name": "level", "in": "query", "schema": {"type": "string", "enum": list(LEVELS)}},
    {"name": "since", "in": "query", "schema": {"type": "string", "pattern": "^([0-9a-f]{1,32}-)?[0-9]{1,18}$"}},
    {"name": "seconds", "in": "query", "schema": {"type": "integer", "minimum": 0, "maximum": 999_999_999}},
    {"name": "limit", "in": "query", "schema": {"type": "integer", "minimum": 1, "maximum": 100_000}},
]


def openapi_route(door: Door) -> HTTPRouteHandler:
    """Return the handler of the description of everything that is served."""
    description = msgspec.json.encode(openapi_document(door.version, keys=bool(door.limits.api_keys)))

    @route("/schema/openapi.json", http_method=READ)
    async def openapi() -> Response[bytes]:
        return json(description)

    return openapi


def openapi_document(version: str, *, keys: bool) -> Json:
    """Return the OpenAPI document; *keys* says whether requests need one."""
    structs = dict.fromkeys([*_STRUCTS, *(kind for dialect in _DIALECTS for kind in dialect.structs)])
    _, schemas = msgspec.json.schema_components(structs, ref_template="#/components/schemas/{name}")
    document: Json = {
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
    for dialect in _DIALECTS:
        document["paths"] |= deepcopy(dialect.paths)
    if keys:
        for path, item in document["paths"].items():
            if path not in OPEN_PATHS and not path.startswith(OPEN_FOLDER):
                for operation in item.values():
                    operation["security"] = [{"key": []}]
    return document


def _paths() -> Json:
    return {
        "/v1/chat/completions": asking(
            "chat",
            "Answer a chat.",
            ChatBody,
            streaming(ChatCompletion, ChatCompletionChunk, end="[DONE]"),
            session=True,
        ),
        "/v1/completions": asking(
            "complete",
            "Continue a text.",
            CompletionBody,
            streaming(Completion, CompletionChunk, end="[DONE]"),
            session=True,
        ),
        "/v1/embeddings": asking("embed", "Embed texts.", EmbeddingBody, holding(EmbeddingList)),
        "/v1/rerank": asking("rerank", "Judge documents by a query.", RerankBody, holding(Ranking)),
        "/rerank": asking("rerank_plain", "Judge documents by a query.", RerankBody, holding(Ranking)),
        "/v1/models": looking(
            "models",
            "List the models; in Anthropic's words for who sends `anthropic-version`.",
            {200: ("All models.", holding(ModelList, ModelPage))},
            401,
            500,
        ),
        "/v1/models/{name}": looking(
            "model",
            "Show a model; its name may have slashes.",
            {200: ("The model.", holding(ModelDocument, ModelEntry))},
            400,
            401,
            404,
            500,
            parameters=[{"name": "name", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}],
        ),
        "/v1/models/load": asking("load", "Load a model, or a file of the models folder.", LoadBody, holding(Ordered)),
        "/v1/models/unload": asking("unload", "Unload a model.", UnloadBody, holding(Ordered)),
        "/models/load": asking("router_load", "The same, without waiting.", LoadBody, holding(Ordered)),
        "/models/unload": asking("router_unload", "The same, without waiting.", UnloadBody, holding(Ordered)),
        "/models": looking(
            "router_models",
            "List the models, and the files of the models folder.",
            {200: ("All of them.", holding(ModelList))},
            401,
            500,
        ),
        "/v1/swarm": looking(
            "swarm",
            "Show which part of which model lies where, and who lends.",
            {200: ("What the gateway sees of its swarm.", holding(SwarmDocument))},
            401,
            500,
        ),
        "/v1/swarm/events": looking(
            "swarm_events",
            "Watch the swarm: `hello`, then the whole state as `swarm` after each change, and `sample` for the lines.",
            {200: ("Events, until the gateway stops.", _watched())},
            401,
            500,
        ),
        "/v1/swarm/drain": asking("drain", "Send nothing new to a node, or again.", DrainBody, holding(Drained)),
        "/v1/swarm/revoke": asking("revoke", "Take a member out of the swarm.", RevokeBody, holding(Revoked)),
        "/p2p/token": _token("token"),
        "/api/p2p/token": _token("localai_token"),
        "/api/p2p": _nodes("localai_nodes", P2pNodes),
        "/api/p2p/workers": _nodes("localai_workers", WorkerNodes),
        "/api/p2p/federation": _nodes("localai_gateways", NodeList),
        "/api/p2p/stats": _nodes("localai_counts", P2pStats),
        "/v1/requests": looking(
            "requests",
            "List the latest requests, the newest first.",
            {200: ("The latest requests.", holding(RequestList))},
            400,
            401,
            500,
            parameters=[{"name": "limit", "in": "query", "schema": _LIMIT}],
        ),
        "/v1/requests/{id}": looking(
            "request",
            "Show what became of a request, and why it went where it went; its id may have slashes.",
            {200: ("What became of it.", holding(RequestDocument))},
            400,
            401,
            404,
            500,
            parameters=[{"name": "id", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}],
        ),
        "/v1/logs": looking(
            "logs",
            "List the latest log events; with `follow=true` those to come as well, each as a server-sent event.",
            {200: ("The latest log events, the oldest first.", holding(LogList))},
            400,
            401,
            500,
            parameters=_LOG_PARAMETERS,
        ),
        "/tokenize": asking("tokenize", "Cut text into tokens.", TokenizeBody, holding(TokensDocument)),
        "/detokenize": asking("detokenize", "Join tokens to text.", DetokenizeBody, holding(TextOfTokens)),
        "/healthz": looking("healthz", "Say that the process answers.", {200: ("It does.", holding(Alive))}, 500),
        "/livez": looking("livez", "Say that the process answers.", {200: ("It does.", holding(Alive))}, 500),
        "/readyz": looking(
            "readyz",
            "Say whether requests can be answered now, by all models or by one.",
            {200: ("They can.", holding(Readiness)), 503: ("Not all; the checks say why.", holding(Readiness))},
            404,
            500,
            parameters=[{"name": "model", "in": "query", "schema": {"type": "string"}}],
        ),
        "/health": looking(
            "health",
            "Say the same in llama-server's words.",
            {200: ("Ready.", holding(Alive)), 503: ("Loading.", holding(Loading))},
            401,
            500,
        ),
        "/version": looking("version", "Say what is running.", {200: ("The version.", holding(Version))}, 401, 500),
        "/": looking("page", "Give the Swarm page, or to who takes no HTML a greeting.", {200: _PAGE}, 500),
        "/swarm": looking("swarm_page", "The same.", {200: _PAGE}, 500),
        "/page/{file}": looking(
            "page_file",
            "Give a file of the Swarm page.",
            {200: ("The file.", dict.fromkeys(("text/html", "text/javascript", "text/css", "image/svg+xml"), _TEXT))},
            400,
            404,
            500,
            parameters=[{"name": "file", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}],
        ),
        "/metrics": looking(
            "metrics",
            "Give Prometheus its numbers.",
            {200: ("In Prometheus' text format.", {"text/plain": {"schema": {"type": "string"}}})},
            401,
            500,
        ),
        "/schema/openapi.json": looking(
            "openapi",
            "Give this document.",
            {200: ("OpenAPI 3.1.", {"application/json": {"schema": {"type": "object"}}})},
            401,
            500,
        ),
    }


def _token(operation: str) -> Json:
    text: Json = {"text/plain": {"schema": {"type": "string"}}}
    return looking(operation, "Give the token that lets machines into the swarm.", {200: ("It.", text)}, 401, 404, 500)


def _watched() -> Json:
    kinds = {"hello": HelloDocument, "swarm": WatchedSwarm, "sample": SampleDocument}
    schemas: list[Json] = [{"$ref": f"#/components/schemas/{kind.__name__}"} for kind in kinds.values()]
    data: Json = {"type": "string", "contentMediaType": "application/json", "contentSchema": {"anyOf": schemas}}
    properties: Json = {"event": {"enum": list(kinds)}, "id": {"type": "string"}, "data": data}
    return {"text/event-stream": {"schema": {"type": "object", "properties": properties, "required": ["data"]}}}


def _nodes(operation: str, kind: type) -> Json:
    return looking(
        operation, "Say who is in the swarm, in LocalAI's shape.", {200: ("Who is.", holding(kind))}, 401, 500
    )
