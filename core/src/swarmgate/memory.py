"""Measures the memory that this process may use: this machine's, or less in a container or service that has a limit."""

from __future__ import annotations

import os
from pathlib import Path

import anyio
import anyio.to_thread

from swarmgate.cgroups import Allowance, allowance


async def free_memory() -> int:
    """Return how many bytes of memory could be used now; 0 if nobody can tell."""
    return await anyio.to_thread.run_sync(free_memory_now)


def free_memory_now() -> int:
    """Return the same, reading some of the kernel's files: for processes without a loop."""
    known, allowed = _free_memory(), _allowed()
    if allowed is None:
        return known
    return max(min(known or allowed.left, allowed.left), 1)  # nothing is left, and that is known


async def whole_memory() -> int:
    """Return how many bytes of memory there are, used or not; 0 if nobody can tell."""
    return await anyio.to_thread.run_sync(whole_memory_now)


def whole_memory_now() -> int:
    """Return the same, reading one of the kernel's files."""
    try:
        whole = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return 0
    allowed = _allowed()
    return whole if allowed is None else min(whole, allowed.limit)


def _allowed() -> Allowance | None:
    try:
        return allowance(Path("/proc/self/cgroup").read_text(encoding="utf-8"))
    except OSError:
        return None


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
