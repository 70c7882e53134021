"""What the kernel's control groups leave of this machine's memory: to a container, or to a service with a limit.

Both layouts are read: the unified one (the kernel's cgroup-v2.rst: ``memory.max``), and the one before it
(cgroup-v1/memory.rst: ``memory.limit_in_bytes``).  A container without a namespace of groups names a group that it
cannot see: what it sees at the root is its own then.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

ROOT = Path("/sys/fs/cgroup")
#: From here on a limit, in bytes, is none: cgroup-v1 has no word for that.
_NO_LIMIT = 1 << 60


class Allowance(NamedTuple):
    """How many bytes a group may use at all, and how many of them it could use now."""

    limit: int
    left: int


class _Layout(NamedTuple):
    """How a layout calls its files; *cache* are lines of memory.stat, of what is given up when it is needed."""

    limit: str
    used: str
    cache: tuple[str, str]


_UNIFIED = _Layout("memory.max", "memory.current", ("active_file", "inactive_file"))
_BEFORE = _Layout("memory.limit_in_bytes", "memory.usage_in_bytes", ("total_active_file", "total_inactive_file"))


def allowance(groups: str, root: Path = ROOT) -> Allowance | None:
    """Return what the narrowest of a process's groups allows, None if none has a limit.  Reads files.

    *groups* is the text of its ``/proc/self/cgroup``; a group's limit holds for those below it as well.
    """
    found = [each for folder, layout in _folders(groups, root) if (each := _allowed(folder, layout)) is not None]
    if not found:
        return None
    return Allowance(min(each.limit for each in found), min(each.left for each in found))


def _folders(groups: str, root: Path) -> Iterator[tuple[Path, _Layout]]:
    for line in groups.splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controllers and "memory" not in controllers.split(","):
            continue
        base, layout = (root / "memory", _BEFORE) if controllers else (root, _UNIFIED)
        below = PurePosixPath(path).parts[1:]
        names = () if ".." in below else below  # outside of what is mounted here
        for depth in range(len(names), -1, -1):
            yield base.joinpath(*names[:depth]), layout


def _allowed(folder: Path, layout: _Layout) -> Allowance | None:
    limit, used = _number(_read(folder / layout.limit)), _number(_read(folder / layout.used))
    if limit is None or limit >= _NO_LIMIT:
        return None
    lines = (line.partition(" ") for line in _read(folder / "memory.stat").splitlines())
    cached = sum(_number(value) or 0 for name, _, value in lines if name in layout.cache)
    return Allowance(limit, max(limit - max((used or 0) - cached, 0), 0))


def _number(text: str) -> int | None:
    try:
        return int(text)
    except ValueError:
        return None  # "max", or no such file


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        return ""
