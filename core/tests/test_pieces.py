from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio
import pytest
from swarmgate.errors import EngineError
from swarmgate.pieces import fetched

pytestmark = pytest.mark.anyio
Send = Callable[[int], Awaitable[None]]


async def test_pieces_come_in_order_and_end() -> None:
    """Waiting for the first takes nothing away."""

    async def fetch(send: Send) -> None:
        for number in range(200):
            await send(number)

    async with fetched(fetch) as pieces:
        await pieces.first()
        assert [piece async for piece in pieces] == list(range(200))


async def test_an_error_comes_after_the_pieces_before_it() -> None:
    """As itself, where the iteration had come to."""
    got = list[int]()

    async def fetch(send: Send) -> None:
        await send(1)
        raise KeyError("broken")

    async def read() -> None:
        async with fetched(fetch) as pieces:
            async for piece in pieces:
                got.append(piece)

    with pytest.raises(KeyError, match="broken"):
        await read()
    assert got == [1]


async def test_a_slow_reader_is_waited_for() -> None:
    """The fetching runs ahead, but not without bounds."""
    sent = list[int]()

    async def fetch(send: Send) -> None:
        for number in range(1000):
            await send(number)
            sent.append(number)

    async with fetched(fetch):
        await anyio.wait_all_tasks_blocked()
        assert 1 <= len(sent) < 100


async def test_leaving_ends_the_fetching() -> None:
    """Before the block is left, what was entered there is left."""
    log = list[str]()

    async def fetch(send: Send) -> None:
        try:
            await send(1)
            await anyio.sleep_forever()
        finally:
            log.append("fetching ended")

    async with fetched(fetch) as pieces:
        assert await anext(pieces) == 1
    assert log == ["fetching ended"]


async def test_another_task_may_iterate() -> None:
    """The pieces belong to no task."""
    got = list[int]()

    async def fetch(send: Send) -> None:
        await send(1)
        await send(2)

    async def read() -> None:
        async for piece in pieces:
            got.append(piece)

    async with fetched(fetch) as pieces, anyio.create_task_group() as tasks:
        tasks.start_soon(read)
    assert got == [1, 2]


async def test_what_has_come_is_had_without_waiting() -> None:
    """All of it, in order, and nothing where nothing has come; room for more is made by taking."""

    async def fetch(send: Send) -> None:
        for number in range(100):
            await send(number)
        await anyio.sleep_forever()

    async with fetched(fetch) as pieces:
        got = [await anext(pieces)]
        while len(got) < 100:
            got += pieces.ready()
            await anyio.lowlevel.checkpoint()
        assert got == list(range(100))
        assert list(pieces.ready()) == []


async def test_waiting_for_a_first_that_never_comes_raises() -> None:
    """As the fetching did, or because it ended without one."""

    async def fails(send: Send) -> None:
        raise KeyError("broken")

    async def ends(send: Send) -> None:
        pass

    async with fetched(fails) as pieces:
        with pytest.raises(KeyError):
            await pieces.first()
    async with fetched(ends) as pieces:
        with pytest.raises(EngineError, match="without a piece"):
            await pieces.first()
