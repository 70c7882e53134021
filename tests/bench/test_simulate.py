from __future__ import annotations

import sys

import msgspec
import pytest
import simulate
import structlog
from swarmgate.errors import PluginError
from virtual.trial import Outcome

SMALL = ["simulate.py", "--seeds", "2", "--requests", "20", "--workload", "even, short", "--balancer", "cost"]


@pytest.fixture(autouse=True)
def _logs() -> object:
    before = structlog.get_config()
    yield
    structlog.configure(**before)


def test_it_prints_a_table(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A row for each workload and balancer asked for, and nothing else on its output."""
    monkeypatch.setattr(sys, "argv", [*SMALL, "--balancer", "p2c"])
    simulate.main()
    said = capsys.readouterr()
    rows = said.out.splitlines()
    assert [row.split("|")[1:3] for row in rows[2:]] == [[" even, short ", " `cost` "], [" even, short ", " `p2c` "]]
    assert "4 trials of 20 requests" in said.err


def test_it_prints_every_trial_as_json(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """What is printed reads back as the outcomes."""
    monkeypatch.setattr(sys, "argv", [*SMALL, "--json"])
    simulate.main()
    found = msgspec.json.decode(capsys.readouterr().out, type=list[Outcome])
    assert [outcome.seed for outcome in found] == [1, 2]


def test_a_balancer_that_is_not_installed_is_named() -> None:
    """The message is the catalogue's."""
    with pytest.raises(PluginError, match="no balancer is called 'nobody'"):
        simulate.parts(["nobody"])
