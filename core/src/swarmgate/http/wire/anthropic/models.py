"""``GET /v1/models`` for clients that speak Anthropic's API: the list, and one entry of it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from msgspec import UNSET

from swarmgate.chat import ModelCard
from swarmgate.http.wire.anthropic.documents import ModelEntry, ModelPage
from swarmgate.http.wire.heading import encode


def entry_json(card: ModelCard) -> bytes:
    """Return one model as JSON."""
    return encode(_entry(card))


def page_json(cards: Iterable[ModelCard]) -> bytes:
    """Return all models as JSON."""
    data = [_entry(card) for card in cards]
    return encode(ModelPage(data=data, first_id=data[0].id if data else None, last_id=data[-1].id if data else None))


def _entry(card: ModelCard) -> ModelEntry:
    return ModelEntry(
        id=card.name,
        display_name=card.name,
        created_at=datetime.fromtimestamp(card.created, tz=UTC).isoformat().replace("+00:00", "Z"),
        max_input_tokens=card.context_length or UNSET,
        max_tokens=card.context_length or UNSET,
    )
