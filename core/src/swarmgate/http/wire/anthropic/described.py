"""What the OpenAPI document says of Anthropic's Messages."""

from __future__ import annotations

from swarmgate.http.describing import Described, asking, holding, streaming
from swarmgate.http.wire.anthropic.documents import (
    BlockDelta,
    BlockStart,
    BlockStop,
    MessageDelta,
    MessageDocument,
    MessageStart,
    MessageStop,
    ModelEntry,
    ModelPage,
    Ping,
    TokenCount,
)
from swarmgate.http.wire.anthropic.errors import MessageError
from swarmgate.http.wire.anthropic.messages import CountBody, MessagesBody

_EVENTS = (MessageStart, BlockStart, BlockDelta, BlockStop, MessageDelta, MessageStop, Ping)

DESCRIBED = Described(
    paths={
        "/v1/messages": asking(
            "messages",
            "Answer a conversation in Anthropic's words.",
            MessagesBody,
            streaming(MessageDocument, *_EVENTS, error=MessageError),
            session=True,
            error=MessageError,
        ),
        "/v1/messages/count_tokens": asking(
            "count_tokens",
            "Count the tokens of a conversation.",
            CountBody,
            holding(TokenCount),
            error=MessageError,
        ),
    },
    structs=(MessagesBody, CountBody, MessageDocument, *_EVENTS, TokenCount, MessageError, ModelEntry, ModelPage),
)
