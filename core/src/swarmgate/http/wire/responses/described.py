"""What the OpenAPI document says of ``/v1/responses``."""

from __future__ import annotations

from swarmgate.http.describing import Described, Json, asking, holding, looking, streaming
from swarmgate.http.wire.responses.asking import ResponseBody
from swarmgate.http.wire.responses.documents import (
    DeletedResponse,
    FunctionCallItem,
    FunctionCallOutputItem,
    InputItemList,
    InputMessage,
    OutputMessage,
    ReasoningItem,
    ResponseDocument,
)
from swarmgate.http.wire.responses.events import EVENTS, ResponseErrorEvent

_ID: Json = {"name": "response_id", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
_PAGE: list[Json] = [
    {"name": "limit", "in": "query", "schema": {"type": "integer", "minimum": 1, "maximum": 100, "default": 20}},
    {"name": "order", "in": "query", "schema": {"enum": ["asc", "desc"], "default": "desc"}},
    {"name": "after", "in": "query", "schema": {"type": "string"}},
]
_EVENTS = [event for event in EVENTS if event is not ResponseErrorEvent]

RESPONSES = Described(
    paths={
        "/v1/responses": asking(
            "respond",
            "Answer in items, and keep them for the next request.",
            ResponseBody,
            streaming(ResponseDocument, *_EVENTS, error=ResponseErrorEvent),
            session=True,
        ),
        "/v1/responses/{response_id}": {
            **looking(
                "response",
                "Show a response that is kept.",
                {200: ("The response.", holding(ResponseDocument))},
                400,
                401,
                404,
                500,
                parameters=[_ID],
            ),
            **looking(
                "forget",
                "Keep a response no longer.",
                {200: ("It is not kept any more.", holding(DeletedResponse))},
                401,
                404,
                500,
                parameters=[_ID],
                method="delete",
            ),
        },
        "/v1/responses/{response_id}/cancel": looking(
            "cancel",
            "Say that there is nothing in the background to be cancelled.",
            {},
            400,
            401,
            404,
            500,
            parameters=[_ID],
            method="post",
        ),
        "/v1/responses/{response_id}/input_items": looking(
            "input_items",
            "List what a response was asked with, the last first.",
            {200: ("Some of its own items.", holding(InputItemList))},
            400,
            401,
            404,
            500,
            parameters=[_ID, *_PAGE],
        ),
    },
    structs=(
        ResponseBody,
        ResponseDocument,
        DeletedResponse,
        InputItemList,
        InputMessage,
        OutputMessage,
        ReasoningItem,
        FunctionCallItem,
        FunctionCallOutputItem,
        *EVENTS,
    ),
)
