"""How much of a machine's memory is lent.  Pure."""

from __future__ import annotations

from collections.abc import Sequence

from swarmgate_backend_llamacpp.rpc.hello import Memory


def share(limit: int, totals: Sequence[int]) -> list[int]:
    """Return how much of *limit* bytes each device gives, filling the first ones first.

    No limit (0) leaves every device its *total*.
    """
    if limit == 0:
        return list(totals)
    shares: list[int] = []
    for total in totals:
        shares.append(min(total, limit - sum(shares)))
    return shares


def offered(share: int, memory: Memory, used: int) -> Memory:
    """Return what a device offers of its *share*, when it has *memory* and *used* bytes are lent already."""
    return Memory(min(memory.free, max(share - used, 0)), share)
