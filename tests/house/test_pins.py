from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest


def agree(root: Path, script: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, script, root], capture_output=True, text=True, check=False)


@pytest.fixture
def script(root: Path) -> Path:
    return root / "scripts" / "pins_agree.py"


@pytest.fixture
def copy(root: Path, tmp_path: Path) -> Path:
    for path in (root / "pyproject.toml", *root.glob("*/pyproject.toml"), *root.glob("plugins/*/pyproject.toml")):
        there = tmp_path / path.relative_to(root)
        there.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, there)
    shutil.copytree(root / "requirements", tmp_path / "requirements")
    return tmp_path


def test_versions_and_pins_agree(root: Path, script: Path) -> None:
    """All distributions have one version, and everything asked for is pinned to something that satisfies it."""
    said = agree(root, script)
    assert (said.returncode, said.stdout) == (0, "versions and pins agree\n")


@pytest.mark.parametrize(
    ("file", "old", "new", "fault"),
    [
        ("core/pyproject.toml", 'version = "0.1.0"', 'version = "0.2.0"', "the bundle asks '==0.1.0'"),
        ("core/pyproject.toml", "msgspec>=", "msgspec>=99.", "asks msgspec>=99."),
        ("plugins/transport_static/pyproject.toml", ">=0.1,<0.2", ">=0.1", "write swarmgate-core>=0.1,<0.2"),
        ("requirements/runtime.txt", "click==", "click==0+", "click is"),
        ("requirements/engine.txt", "llama-cpp-python==", "llama-cpp-python==9", "asks llama-cpp-python=="),
    ],
)
def test_a_disagreement_is_named(copy: Path, script: Path, file: str, old: str, new: str, fault: str) -> None:
    """Drift in a version, a promise or a pin is found, with its file."""
    text = (copy / file).read_text(encoding="utf-8")
    assert old in text
    (copy / file).write_text(text.replace(old, new, 1), encoding="utf-8")
    said = agree(copy, script)
    assert said.returncode == 1
    assert fault in said.stdout


def test_every_pin_is_locked_by_hash(root: Path) -> None:
    """Each pinned package carries at least one hash, so that what is installed is what was looked at."""
    for path in sorted((root / "requirements").glob("**/*.txt")):
        entries = re.split(r"\n(?=[A-Za-z])", path.read_text(encoding="utf-8").split("make pins\n")[1].strip())
        assert entries
        assert [entry.split()[0] for entry in entries if "--hash=sha256:" not in entry] == []


def test_pins_carry_no_address(root: Path) -> None:
    """The requirements files name neither an index nor a folder: they hold wherever packages come from."""
    address = re.compile(r"://|file:|^-[ef]|--index|--find-links|@ ", re.MULTILINE)
    files = [path for path in sorted((root / "requirements").rglob("*")) if path.is_file()]
    assert [path.name for path in files if address.search(path.read_text(encoding="utf-8"))] == []
