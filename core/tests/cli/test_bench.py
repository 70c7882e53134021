from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from live_gateway import live_gateway
from pseudo_terminal import terminal
from swarmgate.cli.bench import summary, table
from swarmgate.cli.figures import Report, Shot, report

pytestmark = [pytest.mark.journey, pytest.mark.timeout(300)]
Gateway = Callable[..., subprocess.CompletedProcess[str]]


def test_the_figures_are_shown_in_milliseconds() -> None:
    """With who answered and what failed; without a table where nothing was answered."""
    good = Shot(began=1.0, ended=1.5, pieces=[1.1, 1.3], prompt_tokens=10, tokens=3, worker="a")
    found = report([good, Shot(0.0, error="no slot")], model="m", concurrency=2, seconds=0.5)
    assert summary(found) == [
        "m: 2 requests, 2 at a time, in 0.50 s",
        "2.00 requests/s, 6.0 tokens/s written",
        "tokens: 10 read, 3 written",
        "answered by a (1)",
        "failed: 1",
        "  1 x no slot",
    ]
    assert table(found)[:2] == [
        ("ms", "p50", "p90", "p99", "mean", "max"),
        ("first piece", "100.0", "100.0", "100.0", "100.0", "100.0"),
    ]
    assert [row[0] for row in table(found)] == ["ms", "first piece", "gap", "per token", "request"]
    assert table(report([], model="m", concurrency=1, seconds=0.0)) == []


def test_the_running_gateway_is_measured(home: Path, gateway: Gateway) -> None:
    """As many requests as are wanted, of that length; refusals are counted by what they say, and all failing is 1."""
    with live_gateway(home, [{"use": "echo", "delay_seconds": 0.001}], api_keys=["k-12345678"]):
        done = gateway("bench", "--requests", "6", "--concurrency", "3", "--max-tokens", "20", "--json")
        assert (done.returncode, done.stderr) == (0, "")
        found = msgspec.json.decode(done.stdout, type=Report)
        assert (found.model, found.requests, found.failed, found.workers) == ("echo", 6, 0, {"echo": 6})
        assert found.completion_tokens == 6 * 20
        assert 6 * 100 < found.prompt_tokens < 6 * 156
        assert found.first_piece is not None
        assert found.first_piece.count == 6
        done = gateway("bench", "echo", "--requests", "2")
        assert "failed: none" in done.stdout
        assert "first piece" in done.stdout
        done = gateway("bench", "--requests", "2", "--prompt-tokens", "20000")
        assert done.returncode == 1
        assert "failed: 2" in done.stdout
        assert " x the prompt has " in done.stdout
        done = gateway("bench", "crow")
        assert (done.returncode, "no model is called 'crow'" in done.stderr) == (1, True)
    done = gateway("bench")
    assert done.returncode == 1
    assert "no gateway answers at http://127.0.0.1:" in done.stderr


def test_it_ends_when_time_is_up_or_ctrl_c_is_pressed(home: Path, environ: dict[str, str]) -> None:
    """What there is by then is shown; on a terminal one sees how far it has come."""
    command = (sys.executable, "-m", "swarmgate", "bench", "--max-tokens", "4")
    with live_gateway(home, [{"use": "echo"}]):
        with terminal((*command, "--seconds", "0.2"), cwd=home, env=environ) as screen:
            screen.until("failed: none")
            assert screen.end() == 0
        with terminal((*command, "--seconds", "600"), cwd=home, env=environ) as screen:
            screen.until(" requests")
            screen.type("\x03")
            screen.until("first piece")
            assert screen.end() == 0
