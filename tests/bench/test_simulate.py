from __future__ import annotations

import sys
from pathlib import Path

import msgspec
import pytest
import simulate
import structlog
from simulate import Report, Task
from swarmgate.errors import PluginError
from virtual.workloads import WORKLOADS

SMALL = ["simulate.py", "--jobs", "1", "--seeds", "2", "--requests", "20"]
SHORT = ["--workload", "even, short"]
TRACE = ["timestamp,input_tokens,output_tokens", *(f"{number},100,{number % 5 + 1}" for number in range(30))]


@pytest.fixture(autouse=True)
def _logs() -> object:
    before = structlog.get_config()
    yield
    structlog.configure(**before)


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", [*SMALL, *arguments])
    simulate.main()


def test_it_prints_a_table(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A row for each balancer asked for below the workload's name, and nothing else on its output."""
    run(monkeypatch, *SHORT, "--balancer", "cost", "--balancer", "p2c")
    said = capsys.readouterr()
    rows = said.out.splitlines()
    assert rows[0].startswith("**even, short**")
    assert [row.split("|")[1] for row in rows[4:]] == [" `cost` ", " `p2c` "]
    assert said.err.startswith("· even, short\n4 trials of 20 requests")


def test_it_writes_every_trial_as_json(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """What is written reads back as comparisons and outcomes; the oracle is there, and regret with it."""
    run(monkeypatch, *SHORT, "--balancer", "cost", "--balancer", "oracle", "--json", str(tmp_path / "all.json"))
    found = msgspec.json.decode((tmp_path / "all.json").read_bytes(), type=Report)
    assert [(one.balancer, one.seed) for one in found.outcomes] == [
        ("cost", 1), ("cost", 2), ("oracle", 1), ("oracle", 2),
    ]  # fmt: skip
    assert [one.balancer for one in found.comparisons] == ["cost", "oracle"]
    assert found.comparisons[0].regret is not None
    assert "`oracle`" in capsys.readouterr().out


def test_trials_side_by_side_come_out_the_same() -> None:
    """Other processes, with other seeds of string hashes, find what this one finds, in the same order."""
    tasks = [
        Task(workload, balancer, seed, 30)
        for workload in WORKLOADS
        if workload.name in {"death", "uneven, closed, 12 clients"}
        for balancer in ("cost", "oracle")
        for seed in (1, 2)
    ]
    assert list(simulate.outcomes(tasks, 2)) == list(simulate.outcomes(tasks, 1))


def test_a_trace_is_replayed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """A file alone is the only workload; its title says how much it asks for, and speed changes that."""
    path = tmp_path / "made_up.csv"
    path.write_text("\n".join(TRACE), encoding="utf-8")
    titles: list[str] = []
    for speed in ("1", "2"):
        run(monkeypatch, "--trace", str(path), "--speed", speed, "--balancer", "cost", "--machines", "uneven")
        rows = capsys.readouterr().out.splitlines()
        titles.append(rows[0])
        assert [row.split("|")[1] for row in rows[4:]] == [" `cost` "]
    assert titles[0].startswith("**made_up.csv**: 30 requests on uneven machines, 1 times as fast, 0.02 of capacity")
    assert titles[1].startswith("**made_up.csv**: 30 requests on uneven machines, 2 times as fast, 0.04 of capacity")


def test_a_bad_trace_ends_it_with_the_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """One sentence, no traceback."""
    path = tmp_path / "bad.csv"
    path.write_text("\n".join([*TRACE, "oops"]), encoding="utf-8")
    with pytest.raises(SystemExit, match=r"simulate: trace bad\.csv, line 32: 1 cells below a header of 3; mend or"):
        run(monkeypatch, "--trace", str(path))
    with pytest.raises(SystemExit, match=r"simulate: .*nowhere"):
        run(monkeypatch, "--trace", str(tmp_path / "nowhere"))


@pytest.mark.parametrize("wrong", [("--speed", "0"), ("--speed", "inf"), ("--seeds", "0"), ("--requests", "-1")])
def test_numbers_are_looked_at(
    wrong: tuple[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What makes no sense is refused with what was expected."""
    with pytest.raises(SystemExit):
        run(monkeypatch, *wrong)
    assert "above 0, found" in capsys.readouterr().err


def test_the_default_balancer_is_what_others_are_compared_to() -> None:
    """If it takes part; else the first that does."""
    assert simulate.against(["cost", "least_loaded"]) == "least_loaded"
    assert simulate.against(["cost", "p2c"]) == "cost"


def test_a_balancer_that_is_not_installed_is_named() -> None:
    """The message is the catalogue's."""
    with pytest.raises(PluginError, match="no balancer is called 'nobody'"):
        simulate.parts(["nobody"])
