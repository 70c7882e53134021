from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import anyio
import pytest
from swarmgate.echo import EchoBackend
from swarmgate.http.app import application
from swarmgate.http.door import Door
from swarmgate.journal import Journal
from visitor import Visitor

pytestmark = pytest.mark.anyio
MakeDoor = Callable[..., Door]
KEY = "a-long-enough-key"


def note(door: Door, event: str, level: str = "info", at: str = "2026-01-01T00:00:00Z", **facts: Any) -> None:
    door.journal(None, level, {"timestamp": at, "level": level, "logger": "t", "event": event, **facts})


@pytest.fixture
def door(make_door: MakeDoor) -> Door:
    door = make_door(EchoBackend(), api_keys=(KEY,))
    door.journal = Journal(10)
    return door


def asking(query: str = "", key: str = KEY, method: str = "GET") -> Visitor:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    return Visitor(path="/v1/logs", method=method, query=query, headers=headers)


async def names(door: Door, query: str = "") -> list[str]:
    visitor = await asking(query).visit(application(door))
    assert visitor.status == 200, visitor.content
    return [event["event"] for event in visitor.json["data"]]


async def test_the_latest_events_are_told(door: Door) -> None:
    """All that are kept, or those of a level, after one of them, or the last few."""
    for name, level in (("a", "debug"), ("b", "info"), ("c", "error"), ("d", "info")):
        note(door, name, level)
    assert await names(door) == ["a", "b", "c", "d"]
    assert await names(door, "level=info") == ["b", "c", "d"]
    assert await names(door, "level=warning") == ["c"]
    assert await names(door, "since=2") == ["c", "d"]
    assert await names(door, f"since={door.journal.run}-3") == ["d"]
    assert await names(door, "limit=2") == ["c", "d"]
    assert await names(door, "limit=1&level=error") == ["c"]
    assert await names(door, "seconds=60") == []
    assert await names(door, "seconds=999999999") == ["a", "b", "c", "d"]


async def test_an_id_of_an_earlier_run_means_everything(door: Door) -> None:
    """Whoever followed the gateway through a restart misses nothing of the new run."""
    note(door, "a")
    assert await names(door, "since=0123abcd-99") == ["a"]


@pytest.mark.parametrize(
    "query",
    ["level=loud", "since=x", "since=1-2-3", "limit=0", "limit=-1", "limit=1000001", "seconds=x", "follow=maybe"],
)
async def test_faults_are_named(door: Door, query: str) -> None:
    """The parameter is named."""
    visitor = await asking(query).visit(application(door))
    assert (visitor.status, visitor.json["error"]["param"]) == (400, query.partition("=")[0])


async def test_it_is_for_operators(door: Door, make_door: MakeDoor) -> None:
    """With keys for who shows one; without, for this machine."""
    assert (await asking(key="").visit(application(door))).status == 401
    assert (await asking(key="").visit(application(make_door(EchoBackend())))).status == 200


async def test_keys_are_hidden(door: Door) -> None:
    """Should one ever be logged, it is not told."""
    note(door, "a", text=f"they sent {KEY}")
    visitor = await asking().visit(application(door))
    assert visitor.json["data"][0]["facts"] == {"text": "they sent ***"}


async def test_what_comes_is_followed(door: Door) -> None:
    """First what there is, then each event of the level as it comes; a HEAD is not kept waiting."""
    note(door, "a")
    visitor = asking("follow=true&level=info")
    with anyio.fail_after(5):
        assert (await asking("follow=true", method="HEAD").visit(application(door))).complete
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(partial(visitor.visit, application(door)))
            await visitor.until('"event":"a"')
            note(door, "b", "debug")
            note(door, "c")
            await visitor.until('"event":"c"')
            visitor.hang_up()
    assert [event["event"] for event in visitor.events] == ["a", "c"]
    assert visitor.events[0]["id"] == f"{door.journal.run}-1"
