from __future__ import annotations

from collections.abc import Callable

import anyio
import msgspec
import pytest
from anyio.lowlevel import checkpoint
from swarmgate.background import background
from swarmgate.echo import EchoBackend
from swarmgate.http.board import Board
from swarmgate.http.door import Door
from swarmgate.nouns import Way
from swarmgate.roster import Member, Swarm
from swarmgate.testing import an_offer

pytestmark = pytest.mark.anyio
MakeDoor = Callable[..., Door]


def member(**facts: object) -> Swarm:
    return Swarm(members=(Member(offer=an_offer("w1"), **facts),))  # pyright: ignore[reportArgumentType]


@pytest.fixture
def door(make_door: MakeDoor) -> Door:
    return make_door(EchoBackend())


def state(board: Board) -> dict[str, object]:
    (notice,) = [each for each in board.news(0) if each.name == "swarm"]
    return msgspec.json.decode(notice.data)


async def test_who_begins_to_watch_sees_the_state_as_it_is(door: Door) -> None:
    """It is looked at once; what was posted before is no news."""
    door.swarm = member
    with door.board.watched() as (notice, number):
        assert msgspec.json.decode(notice.data)["workers"][0]["state"] == "reaching"
        assert (number, door.board.news(number)) == (notice.number, ())
        assert "1 watching" in repr(door.board)
    assert "0 watching" in repr(door.board)


async def test_changes_are_posted_whole_and_the_passing_of_time_is_none(door: Door) -> None:
    """Clocks, and a round trip that is about the same, are not told by themselves."""
    board = door.board
    near = Way(address="tcp://h:1", rtt_seconds=0.0101)
    door.swarm = lambda: member(standing="left_out", reason="is off", retry_seconds=3.0, seen_seconds=1.5, way=near)
    with board.watched() as (_, number):
        later = Way(address="tcp://h:1", rtt_seconds=0.0104)
        door.swarm = lambda: member(
            standing="left_out", reason="is off", retry_seconds=2.0, seen_seconds=2.5, way=later
        )
        board.refresh()
        assert board.news(number) == ()
        door.swarm = lambda: member(standing="usable", seen_seconds=0.0)
        board.refresh()
        (news,) = board.news(number)
        assert msgspec.json.decode(news.data)["workers"][0]["state"] == "usable"


async def test_only_the_latest_is_kept(door: Door) -> None:
    """Who reads slowly misses what was in between, and nothing of what is."""
    board = door.board
    with board.watched() as (_, number):
        for reason in ("a", "b", "c"):
            door.swarm = lambda reason=reason: member(reason=reason)
            board.refresh()
        assert len(board.news(number)) == 1
        assert state(board)["workers"][0]["reason"] == "c"  # pyright: ignore[reportIndexIssue]


async def test_who_waits_hears_of_changes(door: Door) -> None:
    """Waiting ends with a newer notice, and at once if there is one already."""
    board = door.board
    with board.watched() as (_, number):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(board.changed, number)
            for _ in range(3):
                await checkpoint()
            door.swarm = member
            board.refresh()
        await board.changed(number)


async def test_it_counts_also_while_nobody_watches(door: Door) -> None:
    """So that the lines are there for who comes; samples are posted for those who watch alone."""
    board = door.board
    board.count()
    await anyio.sleep(0.01)  # no rate without time
    board.count()
    (sample,) = board.history.samples
    assert (sample.running, sample.waiting, sample.ready) == (0, 0, 1)
    assert board.news(0) == ()
    with board.watched() as (_, number):
        await anyio.sleep(0.01)
        board.count()
        assert [notice.name for notice in board.news(number)] == ["sample"]


async def test_nobody_is_looked_for_while_nobody_watches(door: Door) -> None:
    """The state is made for who watches alone, and at once for who begins while nobody did."""
    board, looks = door.board, 0

    def looked() -> Swarm:
        nonlocal looks
        looks += 1
        return member()

    door.swarm = looked
    async with background() as tasks:
        tasks.start_soon(board.keep)
        await anyio.wait_all_tasks_blocked()
        assert looks == 0
        with board.watched() as (_, number):
            door.swarm = lambda: member(reason="news")
            await board.changed(number)
            assert state(board)["workers"][0]["reason"] == "news"  # pyright: ignore[reportIndexIssue]


async def test_it_is_kept_up_to_date(door: Door) -> None:
    """Changes are found without anybody telling of them."""
    board = door.board
    async with background() as tasks:
        with board.watched() as (_, number):
            tasks.start_soon(board.keep)
            door.swarm = member
            await board.changed(number)
            assert state(board)["workers"] != []
