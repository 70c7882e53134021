from __future__ import annotations

import stat
import subprocess
import sys
from collections.abc import Callable, Generator
from contextlib import ExitStack
from pathlib import Path
from subprocess import PIPE

import pytest
from swarmgate.errors import ConfigError
from swarmgate.nouns import NodeId
from swarmgate.quarters import MOST, claim, move_in

Elsewhere = Callable[[str], str]
IMPORTS = "from pathlib import Path; from swarmgate.quarters import *"
NODE = NodeId("12D3KooWnode")


@pytest.fixture
def elsewhere() -> Generator[Elsewhere]:
    """Have another process work something out, which then lives until the test ends."""
    with ExitStack() as stack:

        def told(expression: str) -> str:
            words = f"{IMPORTS}; print({expression}, flush=True); input()"
            process = stack.enter_context(
                subprocess.Popen([sys.executable, "-c", words], stdin=PIPE, stdout=PIPE, text=True)
            )
            stack.callback(process.kill)
            assert process.stdout
            return process.stdout.readline().strip()

        yield told


def test_a_gateway_lives_in_the_folder_itself_and_a_worker_below(tmp_path: Path) -> None:
    """Each has its own for as long as it runs, however often it asks; it is for the owner's eyes alone."""
    home = tmp_path / "state"
    assert move_in(home, "gateway") == move_in(home, "gateway") == home
    assert move_in(home, "worker") == move_in(home, "worker") == home / "worker"
    assert stat.S_IMODE((home / "worker").stat().st_mode) == 0o700


def test_no_two_processes_live_in_one_folder(tmp_path: Path, elsewhere: Elsewhere) -> None:
    """Whoever comes second gets the next folder of its kind."""
    told = [elsewhere(f"move_in(Path({str(tmp_path)!r}), {kind!r})") for kind in ("gateway", "gateway", "worker")]
    assert told == [str(tmp_path), str(tmp_path / "gateway-2"), str(tmp_path / "worker")]
    assert move_in(tmp_path, "worker") == tmp_path / "worker-2"
    assert move_in(tmp_path, "gateway") == tmp_path / "gateway-3"


def test_a_folder_is_free_when_its_process_has_ended(tmp_path: Path) -> None:
    """However it ended: the lock goes with it."""
    words = f"import os; {IMPORTS}; move_in(Path({str(tmp_path)!r}), 'worker'); os.abort()"
    subprocess.run([sys.executable, "-c", words], check=False, capture_output=True)
    assert move_in(tmp_path, "worker") == tmp_path / "worker"


def test_an_invite_is_for_one_process(tmp_path: Path, elsewhere: Elsewhere) -> None:
    """Two with one invite would be one node to the others: the second is told to get its own."""
    assert elsewhere(f"claim(Path({str(tmp_path)!r}), {NODE!r})") == "None"
    with pytest.raises(ConfigError, match=r"another gateway or worker .* runs with this invite.*gateway token invite"):
        claim(tmp_path, NODE)
    claim(tmp_path, NodeId("12D3KooWother"))
    claim(tmp_path, NodeId("12D3KooWother"))


def test_there_is_an_end_to_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with more processes than that has something else wrong with it."""
    monkeypatch.setattr("swarmgate.quarters._holds", lambda _file: False)
    with pytest.raises(ConfigError, match=rf"{MOST} processes live in .* already; set state_dir to another"):
        move_in(tmp_path, "worker")
