from __future__ import annotations

import msgspec
from swarmgate.chat import ModelCard
from swarmgate.http.wire.anthropic.documents import ModelEntry, ModelPage
from swarmgate.http.wire.anthropic.models import entry_json, page_json

_CARD = ModelCard(name="org/m", created=1700000000, context_length=4096)


def test_a_model_has_anthropics_fields() -> None:
    """Its time in RFC 3339, and its context; one that nobody knows is left out."""
    assert msgspec.json.decode(entry_json(_CARD)) == {
        "type": "model",
        "id": "org/m",
        "display_name": "org/m",
        "created_at": "2023-11-14T22:13:20Z",
        "lifecycle": "active",
        "max_input_tokens": 4096,
        "max_tokens": 4096,
    }
    assert "max_tokens" not in msgspec.json.decode(entry_json(ModelCard(name="m")))
    assert msgspec.json.decode(entry_json(_CARD), type=ModelEntry).id == "org/m"


def test_all_models_are_on_one_page() -> None:
    """Also where there are none."""
    page = msgspec.json.decode(page_json([_CARD, ModelCard(name="m")]), type=ModelPage)
    assert (page.first_id, page.last_id, page.has_more, len(page.data)) == ("org/m", "m", False, 2)
    assert msgspec.json.decode(page_json([])) == {"data": [], "has_more": False, "first_id": None, "last_id": None}
