from __future__ import annotations

from typing import Any

import msgspec
import pytest
from swarmgate.errors import RequestError
from swarmgate.http.wire.messages import ContentPart
from swarmgate.http.wire.responses.items import ItemBody
from swarmgate.http.wire.responses.listing import items_json

ITEMS = [
    ItemBody(id="m0", role="developer", content="be brief"),
    ItemBody(id="m1", role="user", content=[ContentPart(type="input_text", text="a")]),
    ItemBody(id="r2", type="reasoning", content=[ContentPart(type="reasoning_text", text="hm")]),
    ItemBody(id="m3", role="assistant", content="b"),
    ItemBody(id="f4", type="function_call", call_id="c", name="look", arguments="{}"),
    ItemBody(id="o5", type="function_call_output", call_id="c", output="seen"),
]


def page(order: Any = "asc", after: str = "", limit: int = 20) -> dict[str, Any]:
    return msgspec.json.decode(items_json(ITEMS, order=order, after=after, limit=limit))


def test_items_are_listed_as_clients_know_them() -> None:
    """Each with its id, its kind and a status, whatever form it was sent in."""
    listed = page()["data"]
    assert [(item["id"], item["type"]) for item in listed] == [
        ("m0", "message"),
        ("m1", "message"),
        ("r2", "reasoning"),
        ("m3", "message"),
        ("f4", "function_call"),
        ("o5", "function_call_output"),
    ]
    assert listed[0]["role"] == "developer"
    assert listed[1]["content"] == [{"type": "input_text", "text": "a"}]
    assert listed[3]["content"] == [{"type": "output_text", "text": "b", "annotations": [], "logprobs": []}]
    assert {item["status"] for item in listed} == {"completed"}


def test_pages_follow_one_another() -> None:
    """In either order, each after the last of the one before."""
    first = page(order="desc", limit=4)
    assert (first["first_id"], first["last_id"], first["has_more"]) == ("o5", "r2", True)
    second = page(order="desc", limit=4, after="r2")
    assert [item["id"] for item in second["data"]] == ["m1", "m0"]
    assert second["has_more"] is False
    end = page(after="o5")
    assert (end["data"], end["first_id"], end["last_id"], end["has_more"]) == ([], None, None, False)


def test_a_page_after_nothing_is_refused() -> None:
    """An id that is not there is named."""
    with pytest.raises(RequestError, match="'nothing'") as found:
        page(after="nothing")
    assert found.value.param == "after"
