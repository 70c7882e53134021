from __future__ import annotations

import pytest
from swarmgate import memory
from swarmgate.cgroups import Allowance
from swarmgate.memory import free_memory, free_memory_now, whole_memory

pytestmark = pytest.mark.anyio


async def test_this_machine_has_memory() -> None:
    """What is measured is between a megabyte and a thousand terabytes."""
    assert 1 << 20 < await free_memory() <= await whole_memory() < 1 << 50


@pytest.mark.parametrize(("left", "free"), [(5000, 5000), (0, 1)])
async def test_a_groups_limit_is_the_memory_there_is(monkeypatch: pytest.MonkeyPatch, left: int, free: int) -> None:
    """In a container with a limit that is what counts; 0 would mean that nothing is known."""
    monkeypatch.setattr(memory, "_allowed", lambda: Allowance(9000, left))
    assert (await free_memory(), free_memory_now(), await whole_memory()) == (free, free, 9000)


async def test_where_only_the_group_tells_it_is_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that says nothing of its memory may have groups that do."""
    monkeypatch.setattr(memory, "_allowed", lambda: Allowance(9000, 5000))
    monkeypatch.setattr(memory, "_free_memory", lambda: 0)
    assert await free_memory() == 5000
