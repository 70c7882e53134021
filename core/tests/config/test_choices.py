from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from swarmgate.config.choices import Blueprint, Choice
from swarmgate.parts import LEDGER, TRANSPORT, WORKER, NoOptions, Part, Slot


@asynccontextmanager
async def open_nothing(options: Any, context: Any) -> AsyncGenerator[Any]:
    yield None


def choice(slot: Slot[Any], name: str) -> Choice:
    return Choice(slot, Part(name, "For a test.", NoOptions, open_nothing), NoOptions())


def test_choices_are_found_by_slot_and_by_role() -> None:
    """Both keep the order in which they were chosen."""
    blueprint = Blueprint(
        choices=(choice(TRANSPORT, "a"), choice(TRANSPORT, "b"), choice(LEDGER, "c"), choice(WORKER, "d"))
    )
    assert [each.part.name for each in blueprint.of(TRANSPORT)] == ["a", "b"]
    assert [each.part.name for each in blueprint.opened_by("run")] == ["a", "b", "c"]
    assert [each.part.name for each in blueprint.opened_by("worker")] == ["d"]
