from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

Gateway = Callable[..., subprocess.CompletedProcess[str]]
ECHO = '[gateway]\nlisten = "127.0.0.1:0"\n[[backend]]\nuse = "echo"\n'


def test_all_is_well(gateway: Gateway, home: Path) -> None:
    """Status 0, a line for each thing looked at, and a last one that says so."""
    home.joinpath("gateway.toml").write_text(ECHO)
    done = gateway("doctor")
    assert (done.returncode, done.stderr) == (0, "")
    assert "Where the gateway listens (address)\n  ok    127.0.0.1:0: is free" in done.stdout
    assert done.stdout.rstrip().splitlines()[-1] == "nothing is wrong"


def test_a_fault_has_its_code_and_its_remedy(gateway: Gateway, home: Path) -> None:
    """Status 1; the same in JSON; what others say cannot steer the terminal."""
    home.joinpath("gateway.toml").write_text(ECHO)
    folder = home / "st\x1b[31mate"
    folder.mkdir(mode=0o755)
    done = gateway("doctor", "--state-dir", str(folder))
    assert done.returncode == 1
    assert "FAULT" in done.stdout
    assert "[state.open]\n        -> `chmod 700` the folder." in done.stdout
    assert done.stdout.rstrip().splitlines()[-1] == "1 fault"
    assert "\x1b" not in done.stdout
    done = gateway("doctor", "--json", "--state-dir", str(folder))
    found = {each["name"]: each["findings"] for each in json.loads(done.stdout)["sections"]}
    assert (done.returncode, found["state"][0]["code"]) == (1, "state.open")


def test_a_configuration_that_cannot_be_used_is_all_that_is_looked_at(gateway: Gateway, home: Path) -> None:
    """Each of its faults is a finding, with its line."""
    home.joinpath("gateway.toml").write_text("[gateway]\nlistn = 1\n")
    done = gateway("doctor")
    assert done.returncode == 1
    assert "FAULT gateway.toml:2: unknown option 'listn'; did you mean 'listen'? [config.faulty]" in done.stdout
    assert "1 fault" in done.stdout


def test_the_manual_is_printed_whatever_the_configuration(gateway: Gateway, home: Path) -> None:
    """It is a page about codes, and needs none."""
    home.joinpath("gateway.toml").write_text("nonsense")
    done = gateway("doctor", "--manual")
    assert (done.returncode, done.stdout.startswith("# Troubleshooting\n")) == (0, True)
