from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from swarmgate import testing
from swarmgate.parts import SLOTS

PAGE = (Path(__file__).parent.parent.parent / "docs" / "plugins.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)(?: file=(\S+))?\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Lay out the page's files as a reader would, with the plugin found by its entry point."""
    for _, name, text in BLOCKS:
        (tmp_path / name).write_text(text, encoding="utf-8")
    project = tomllib.loads((tmp_path / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    info = tmp_path / "acme_dice-1.0.0.dist-info"
    info.mkdir()
    facts = f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    (info / "METADATA").write_text(facts, encoding="utf-8")
    lines = [f"{name} = {value}" for name, value in project["entry-points"]["swarmgate.plugins"].items()]
    (info / "entry_points.txt").write_text("\n".join(["[swarmgate.plugins]", *lines]), encoding="utf-8")
    (tmp_path / "pyproject.toml").unlink()  # or pytest would take it for its own settings
    return tmp_path


def run(folder: Path, *command: str) -> str:
    done = subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env={"PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
        timeout=150,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_every_block_is_a_file() -> None:
    """No code block of the page is left out: each names the file it is, and no name comes twice."""
    names = [name for _, name, _ in BLOCKS]
    assert PAGE.count("```") == 2 * len(BLOCKS)
    assert all(names)
    assert len(set(names)) == len(names)


def test_the_plugin_has_about_twenty_lines() -> None:
    """The heading does not lie: that many lines say something."""
    (code,) = (text for _, name, text in BLOCKS if name == "acme_dice.py")
    said = [line for line in code.splitlines() if line.strip() and not line.strip().startswith("#")]
    assert len(said) <= 21


def test_the_plugin_is_found_and_configured(folder: Path) -> None:
    """The catalogue has the part, the page's configuration chooses it, and it opens with the option."""
    script = """
import pathlib, tempfile, tomllib, anyio, msgspec
from swarmgate import plugins
from swarmgate.parts import BALANCER
from swarmgate.testing import a_context
entry = plugins.load().find(BALANCER, "dice")
table = tomllib.loads(pathlib.Path("gateway.toml").read_text())["balancer"]
assert table.pop("use") == entry.part.name
async def main():
    with tempfile.TemporaryDirectory() as state:
        async with entry.part.open(msgspec.convert(table, entry.part.options), a_context(pathlib.Path(state))) as dice:
            assert isinstance(dice, BALANCER.contract)
anyio.run(main)
print(entry.origin)
"""
    assert run(folder, "-c", script).strip() == "acme-dice 1.0.0"


@pytest.mark.timeout(180)
def test_the_pages_own_tests_pass(folder: Path) -> None:
    """The tests a reader would copy run, all of them, and pass."""
    plugin = """
from swarmgate.testing import PluginContract

class TestPlugin(PluginContract):
    plugin = "acme_dice"
"""
    (folder / "test_plugin.py").write_text(plugin, encoding="utf-8")
    out = run(folder, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", "--rootdir", str(folder))
    assert re.search(r"\d+ passed, 1 skipped", out), out


def test_every_slot_and_contract_is_listed() -> None:
    """The table has a row for each slot, its hook and its class of tests."""
    for slot in SLOTS:
        (row,) = re.findall(rf"^\| `{slot.name}` \|.*$", PAGE, re.MULTILINE)
        kind = slot.contract.__name__
        assert f"`{slot.hook}`" in row
        assert f"`{kind}`" in row
        assert f"`{kind}Contract`" in row
        assert hasattr(testing, f"{kind}Contract")
        assert ("any" in row.rpartition("|")[0].rpartition("|")[2]) == slot.many


def test_everything_named_exists() -> None:
    """Names of the front door and of the kit that the page uses are there."""
    from swarmgate import api

    named = set(re.findall(r"`([A-Z][A-Za-z]+|an?_[a-z_]+)`", PAGE))
    assert named
    assert {name for name in named if not hasattr(api, name) and not hasattr(testing, name)} == set()


def test_the_page_s_check_is_made(folder: Path) -> None:
    """A plugin that imports the hook is asked for it, and its fault has the code and the remedy that it declares."""
    script = """
import pathlib, tempfile, anyio
plugin = pathlib.Path("acme_dice.py")
plugin.write_text(plugin.read_text() + "\\nfrom acme_dice_checkup import swarmgate_checks\\n")
from acme_dice import DiceOptions
from swarmgate import plugins
from swarmgate.checks import Patient
from swarmgate.testing import a_context
[check] = [check for check, plugin in plugins.load().checks() if plugin.distribution == "acme-dice"]
async def main():
    with tempfile.TemporaryDirectory() as state:
        for seed in (1, 2):
            patient = Patient(a_context(pathlib.Path(state)), {"balancer/dice": (DiceOptions(seed=seed),)})
            [found] = await check.examine(patient)
            print(found.level, found.code)
anyio.run(main)
"""
    assert run(folder, "-c", script).splitlines() == ["fault dice.low", "fine "]
