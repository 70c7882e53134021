from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import msgspec
import pytest
from swarmgate.echo import EchoBackend
from swarmgate.http.app import application
from swarmgate.http.door import Door
from swarmgate.roster import Member, Swarm
from swarmgate.testing import an_offer
from visitor import Visitor

pytestmark = pytest.mark.anyio
MakeDoor = Callable[..., Door]


@asynccontextmanager
async def watching(door: Door, key: str = "", host: str = "127.0.0.1:8080") -> AsyncGenerator[Visitor]:
    """Yield who watches, once the state has come."""
    headers = {"host": host} | ({"authorization": f"Bearer {key}"} if key else {})
    visitor = Visitor("/v1/swarm/events", method="GET", headers=headers)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(visitor.visit, application(door))
        await visitor.until("event: swarm")
        yield visitor
        visitor.hang_up()


def events(visitor: Visitor) -> list[tuple[str, int, Any]]:
    """Return name, number and data of each event so far."""
    found: list[tuple[str, int, Any]] = []
    for block in visitor.content.decode().split("\n\n"):
        if block.startswith("event: "):
            lines = dict(line.split(": ", 1) for line in block.split("\n"))
            found.append((lines["event"], int(lines["id"]), msgspec.json.decode(lines["data"])))
    return found


async def test_the_whole_state_comes_at_once_and_after_changes(make_door: MakeDoor) -> None:
    """As an event stream that nobody may keep; numbers grow."""
    door = make_door(EchoBackend())
    async with watching(door) as visitor:
        assert visitor.answered["content-type"].startswith("text/event-stream")
        assert visitor.answered["cache-control"] == "no-cache"
        door.swarm = lambda: Swarm(members=(Member(offer=an_offer("w1"), standing="left_out", reason="is off"),))
        door.board.refresh()
        await visitor.until("is off")
    (hello, first, _), (name, second, before), (again, third, after) = events(visitor)
    assert (hello, name, again) == ("hello", "swarm", "swarm")
    assert first == second < third
    assert (before["workers"], after["workers"][0]["reason"]) == ([], "is off")


async def test_it_ends_when_the_gateway_stops(make_door: MakeDoor) -> None:
    """As it should: nobody has to be cut off, and nobody watches any more."""
    door = make_door(EchoBackend())
    visitor = Visitor("/v1/swarm/events", method="GET")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(visitor.visit, application(door))
        await visitor.until("event: swarm")
        door.close()
    assert visitor.complete
    assert "0 watching" in repr(door.board)


async def test_who_hangs_up_is_not_told_any_more(make_door: MakeDoor) -> None:
    """Then nobody watches."""
    door = make_door(EchoBackend())
    async with watching(door):
        assert "1 watching" in repr(door.board)
    assert "0 watching" in repr(door.board)


async def test_silence_is_filled_with_comments(make_door: MakeDoor) -> None:
    """So that nothing in between gives up."""
    async with watching(make_door(EchoBackend(), ping_seconds=0.02)) as visitor:
        await visitor.until(": ping")


async def test_keys_guard_it(make_door: MakeDoor) -> None:
    """Who shows one is an operator."""
    door = make_door(EchoBackend(), api_keys=("k",))
    assert (await Visitor("/v1/swarm/events", method="GET").visit(application(door))).status == 401
    async with watching(door, key="k", host="far.example") as visitor:
        assert events(visitor)[0][2]["operator"] is True


async def test_without_keys_this_machine_is_the_operator(make_door: MakeDoor) -> None:
    """Who asks by another name may look, and learns why it may do nothing."""
    async with watching(make_door(EchoBackend())) as here:
        assert events(here)[0][2]["operator"] is True
    async with watching(make_door(EchoBackend()), host="evil.example") as there:
        hello = events(there)[0][2]
    assert hello["operator"] is False
    assert "only this machine itself may look after the swarm" in hello["refusal"]
