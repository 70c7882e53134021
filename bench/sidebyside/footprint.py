"""What the gateway costs while nobody asks anything: memory of its own process, time of its command."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import msgspec

from sidebyside.contenders import Contender
from sidebyside.figures import Row


class Memory(msgspec.Struct, frozen=True):
    """Resident memory of one process in MB (10^6 bytes): all of it, and with shared pages divided among sharers."""

    resident: float
    proportional: float


def memory(pid: int) -> Memory:
    """Read the memory of *pid* from Linux's smaps."""
    sizes: dict[str, int] = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        key, value, *_ = line.split()
        sizes[key.rstrip(":")] = int(value)
    return Memory(sizes["Rss"] * 1024 / 1e6, sizes["Pss"] * 1024 / 1e6)


def command_seconds(*arguments: str) -> float:
    """Return the processor seconds, user and system, of one ``gateway`` command."""
    command = [str(Path(sys.executable).with_name("gateway")), *arguments]
    # An environment that forbids byte code would have everything compiled anew each time; users' do not.
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environ)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} exited with status {process.returncode}")
    return usage.ru_utime + usage.ru_stime


def rows(gateway: Contender) -> list[Row]:
    """Measure an idle *gateway* and its command, and return the rows."""
    used = memory(gateway.pid)
    helps = [command_seconds("--help") for _ in range(6)][1:]  # the first one warms the disk cache
    own = "resident memory of the gateway's own process, model loaded, idle"
    return [
        Row("footprint", own, "MB", (used.resident,), aim=120),
        Row("footprint", "the same, shared pages divided", "MB", (used.proportional,)),
        Row("footprint", "processor time of gateway --help", "s", tuple(helps), aim=0.3),
    ]
