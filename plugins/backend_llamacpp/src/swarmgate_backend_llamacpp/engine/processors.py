"""How many threads to use when nobody said."""

from __future__ import annotations

import os
from pathlib import Path


def default_threads(topology: Path = Path("/sys/devices/system/cpu")) -> int:
    """Return the physical cores this process may use less one for the gateway, at least one.

    llama.cpp's threads spin at barriers: one thread more than there are free cores is worse than
    one less, and two threads on one core are worse than one.
    """
    usable = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set(range(os.cpu_count() or 1))
    cores: set[tuple[str, str]] = set()
    for number in usable:
        folder = topology / f"cpu{number}" / "topology"
        try:
            cores.add(((folder / "physical_package_id").read_text(), (folder / "core_id").read_text()))
        except OSError:
            cores.add(("unknown", str(number)))
    return max(1, len(cores) - 1)
