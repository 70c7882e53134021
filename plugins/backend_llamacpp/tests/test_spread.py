"""Units over devices."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from swarmgate_backend_llamacpp.engine.spread import fill, spread


@pytest.mark.parametrize(
    ("units", "memories", "counts"),
    [
        (10, [1], [10]),
        (10, [24, 8], [8, 2]),
        (3, [1, 1], [2, 1]),
        (1, [5, 6], [0, 1]),
        (4, [0, 0], [4, 0]),
        (7, [8, 0, 8], [4, 0, 3]),
    ],
)
def test_a_worker_s_units_follow_its_devices_memory(units: int, memories: list[int], counts: list[int]) -> None:
    """In proportion, by the largest remainder; a device without memory gets nothing unless none has any."""
    assert spread(units, memories) == counts


@given(st.integers(0, 500), st.lists(st.integers(0, 1 << 40), min_size=1, max_size=8))
def test_no_unit_is_lost(units: int, memories: list[int]) -> None:
    """Every unit is on one device, and none is off by one from its share."""
    counts = spread(units, memories)
    assert sum(counts) == units
    if total := sum(memories):
        assert all(abs(count - units * memory / total) < 1 for count, memory in zip(counts, memories, strict=True))


@pytest.mark.parametrize(
    ("sizes", "memories", "most", "counts"),
    [
        ([5, 5, 5], [], -1, []),
        ([5, 5, 5], [16], -1, [3]),
        ([5, 5, 5], [15], -1, [2]),
        ([5, 5, 5], [16], 1, [1]),
        ([5, 5, 5], [16], 0, [0]),
        ([5, 5, 5], [6, 11], -1, [1, 2]),
        ([5, 5, 5], [99, 0], -1, [3, 0]),
        ([9, 1, 1], [4], -1, [2]),
        ([], [99], -1, [0]),
    ],
)
def test_gpus_here_take_the_last_units_that_fit(
    sizes: list[int], memories: list[int], most: int, counts: list[int]
) -> None:
    """With one byte set aside for computing; no more than was allowed, and the others stay on the CPU."""
    assert fill(sizes, 1, memories, most) == counts
