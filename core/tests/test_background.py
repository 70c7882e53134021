from __future__ import annotations

import anyio
import pytest
from swarmgate.background import background

pytestmark = pytest.mark.anyio


async def fail(message: str) -> None:
    raise KeyError(message)


async def run_failing(*messages: str) -> None:
    async with background() as tasks:
        for message in messages:
            tasks.start_soon(fail, message)
        await anyio.sleep_forever()


async def test_tasks_end_with_the_block() -> None:
    """Leaving the block cancels its tasks and waits for them."""
    ended = list[str]()

    async def task() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            ended.append("ended")

    async with background() as tasks:
        tasks.start_soon(task)
        await anyio.wait_all_tasks_blocked()
    assert ended == ["ended"]


async def test_errors_come_out_as_themselves() -> None:
    """What the block raises, and what one task raises, is not wrapped; what several raise is."""
    with pytest.raises(KeyError, match="mine"):
        async with background():
            raise KeyError("mine")
    with pytest.raises(KeyError, match="its"):
        await run_failing("its")
    with pytest.raises(ExceptionGroup) as caught:
        await run_failing("one", "two")
    assert len(caught.value.exceptions) == 2


async def test_cancelling_from_outside_passes_through() -> None:
    """A cancelled block stays cancelled."""
    with anyio.move_on_after(0.01) as scope:
        async with background():
            await anyio.sleep_forever()
    assert scope.cancelled_caught


async def test_a_task_that_is_not_needed_to_be_cancelled_ends_by_itself() -> None:
    """The block is left when it has ended."""
    ended = False

    async def end() -> None:
        nonlocal ended
        await anyio.sleep(0.01)
        ended = True

    async with background(needed=lambda: False) as tasks:
        tasks.start_soon(end)
    assert ended
