from __future__ import annotations

from pathlib import Path

import pytest
from swarmgate.cgroups import allowance

MIB = 1 << 20


def group(folder: Path, **files: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / f"memory.{name}").write_text(f"{text}\n")


def test_a_limit_counts_and_cached_files_do_not(tmp_path: Path) -> None:
    """What is left is the limit less what is used, where the kernel would not give it up by itself."""
    stat = f"anon {50 * MIB}\nactive_file {20 * MIB}\ninactive_file {10 * MIB}"
    group(tmp_path / "box", max=str(200 * MIB), current=str(80 * MIB), stat=stat)
    assert allowance("0::/box\n", tmp_path) == (200 * MIB, 150 * MIB)


def test_the_narrowest_group_decides(tmp_path: Path) -> None:
    """Limits of the groups above hold too, each with what is used in it."""
    group(tmp_path / "slice", max=str(100 * MIB), current=str(90 * MIB))
    group(tmp_path / "slice" / "box", max=str(80 * MIB), current=str(10 * MIB))
    assert allowance("0::/slice/box\n", tmp_path) == (80 * MIB, 10 * MIB)


def test_without_a_limit_the_machine_decides(tmp_path: Path) -> None:
    """By the word for it, by a number that nobody has, or because there are no such files."""
    group(tmp_path / "free", max="max", current="1")
    group(tmp_path / "memory" / "free", limit_in_bytes="9223372036854771712", usage_in_bytes="1")
    assert allowance("4:memory:/free\n0::/free\n", tmp_path) is None
    assert allowance("0::/nowhere\n", tmp_path) is None
    assert allowance("", tmp_path) is None


def test_the_layout_before_the_unified_one(tmp_path: Path) -> None:
    """Its files have other names, and only the line of its memory controller counts."""
    stat = f"inactive_file 1\ntotal_inactive_file {MIB}\ntotal_active_file {MIB}"
    group(tmp_path / "memory" / "box", limit_in_bytes=str(9 * MIB), usage_in_bytes=str(4 * MIB), stat=stat)
    group(tmp_path / "cpu" / "box", limit_in_bytes="1", usage_in_bytes="1")
    assert allowance("5:cpu,cpuacct:/box\n4:memory:/box\n1:name=systemd:/box\n", tmp_path) == (9 * MIB, 7 * MIB)


@pytest.mark.parametrize("path", ["/docker/0123", "/../../outside", "/"])
def test_a_container_sees_its_own_group_at_the_root(tmp_path: Path, path: str) -> None:
    """Whatever the kernel calls it where the container cannot look, and nothing outside is read."""
    group(tmp_path / "mounted", max=str(5 * MIB), current=str(6 * MIB))
    group(tmp_path / "outside", max="1", current="1")
    assert allowance(f"0::{path}\n", tmp_path / "mounted") == (5 * MIB, 0)
