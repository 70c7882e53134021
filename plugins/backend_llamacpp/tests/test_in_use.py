from __future__ import annotations

import anyio
import pytest
from swarmgate.api import Endpoint
from swarmgate_backend_llamacpp.rpc.in_use import InUse

HERE, THERE = Endpoint("10.0.0.1", 1), Endpoint("10.0.0.2", 1)


def test_a_server_is_in_use_until_the_last_engine_has_left() -> None:
    """Two engines may be told of for a moment, while one takes the other's place."""
    in_use = InUse()
    in_use.enter([HERE, THERE])
    in_use.enter([HERE])
    in_use.leave([HERE])
    assert HERE in in_use
    in_use.leave([HERE, THERE])
    assert HERE not in in_use
    assert THERE not in in_use
    in_use.leave([HERE])
    assert repr(in_use) == "<InUse nowhere>"


@pytest.mark.anyio
async def test_a_change_is_told() -> None:
    """Whoever waits hears of engines that come and go."""
    in_use = InUse()
    for change in (in_use.enter, in_use.leave):
        with anyio.fail_after(5):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(in_use.changed)
                await anyio.wait_all_tasks_blocked()
                change([HERE])
