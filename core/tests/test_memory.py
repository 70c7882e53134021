from __future__ import annotations

import pytest
from swarmgate.memory import free_memory, whole_memory

pytestmark = pytest.mark.anyio


async def test_this_machine_has_memory() -> None:
    """What is measured is between a megabyte and a thousand terabytes."""
    assert 1 << 20 < await free_memory() <= whole_memory() < 1 << 50
