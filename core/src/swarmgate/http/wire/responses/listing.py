"""``GET /v1/responses/{id}/input_items``: what a response was asked with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from swarmgate.errors import RequestError
from swarmgate.http.wire.heading import encode
from swarmgate.http.wire.messages import text_of
from swarmgate.http.wire.responses.documents import (
    FunctionCallItem,
    FunctionCallOutputItem,
    InputItemList,
    InputMessage,
    InputText,
    OutputMessage,
    OutputText,
    ReasoningItem,
    ReasoningText,
)
from swarmgate.http.wire.responses.items import ItemBody

Order = Literal["asc", "desc"]
ListedItem = InputMessage | OutputMessage | ReasoningItem | FunctionCallItem | FunctionCallOutputItem


def items_json(items: Sequence[ItemBody], *, order: Order, after: str, limit: int) -> bytes:
    """Return at most *limit* of *items* as JSON, those that come after the one of the id *after* in that *order*.

    Raises:
        RequestError: there is no item *after*.

    """
    ordered = list(items) if order == "asc" else list(reversed(items))
    if after:
        names = [item.id for item in ordered]
        if after not in names:
            raise RequestError(f"after: no input item of this response has the id {after[:80]!r}", param="after")
        ordered = ordered[names.index(after) + 1 :]
    shown = [listed(item) for item in ordered[:limit]]
    return encode(
        InputItemList(
            data=list(shown),
            first_id=shown[0].id if shown else None,
            last_id=shown[-1].id if shown else None,
            has_more=len(ordered) > limit,
        )
    )


def listed(item: ItemBody) -> ListedItem:
    """Return *item*, which has an id and was read before, as lists show it."""
    name = item.id or ""
    match item.kind:
        case "function_call":
            return FunctionCallItem(
                id=name,
                status="completed",
                call_id=item.call_id or "",
                name=item.name or "",
                arguments=item.arguments or "",
            )
        case "function_call_output":
            return FunctionCallOutputItem(
                id=name, call_id=item.call_id or "", output=text_of(item.output, "output") or ""
            )
        case "reasoning":
            text = text_of(item.content or item.summary, "content") or ""
            return ReasoningItem(id=name, status="completed", content=[ReasoningText(text=text)])
        case _:
            text = text_of(item.content, "content") or ""
            if item.role == "assistant":
                return OutputMessage(id=name, status="completed", content=[OutputText(text=text)])
            role = "system" if item.role == "system" else "developer" if item.role == "developer" else "user"
            return InputMessage(id=name, role=role, content=[InputText(text=text)])
