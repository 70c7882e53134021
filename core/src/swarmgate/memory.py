"""Measures this machine's memory."""

from __future__ import annotations

import os

import anyio
import anyio.to_thread


async def free_memory() -> int:
    """Return how many bytes of this machine's memory could be used now; 0 if nobody can tell."""
    return await anyio.to_thread.run_sync(_free_memory)


def whole_memory() -> int:
    """Return how many bytes of memory this machine has, used or not; 0 if nobody can tell."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return 0


def _free_memory() -> int:
    try:
        with open("/proc/meminfo", encoding="ascii") as file:  # noqa: PTH123  # a device of the kernel's, not a path of ours
            for line in file:
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return 0
