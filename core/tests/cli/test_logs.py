from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner
from live_gateway import live_gateway
from pseudo_terminal import terminal
from swarmgate.cli.logs import print_event, text_of
from swarmgate.http.wire.logs import LogEvent

Gateway = Callable[..., subprocess.CompletedProcess[str]]
COMMAND = (sys.executable, "-m", "swarmgate", "logs")


def an_event(**facts: Any) -> LogEvent:
    return LogEvent(id="a-1", at="2026-01-01T10:00:00Z", level="info", logger="t", event="engine.exited", facts=facts)


def test_an_event_is_a_line_of_names_and_values() -> None:
    """What has spaces is quoted, lists are JSON, and nothing is left that a terminal would obey."""
    assert text_of(an_event()) == "engine.exited"
    told = text_of(an_event(signal="SIGABRT", why="it is so", names=["a", "b"], count=2, odd="\x1b[2J", no=None))
    assert told == 'engine.exited signal=SIGABRT why="it is so" names=["a","b"] count=2 odd="?[2J" no=null'


def test_a_traceback_stands_below() -> None:
    """Line by line."""
    assert text_of(an_event(exception="Traceback\n  here\nError: x", n=1)) == (
        "engine.exited n=1\n    Traceback\n      here\n    Error: x"
    )


def test_colours_are_left_out_for_who_wants_none(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """By NO_COLOR, as no-color.org has it; what has no colour is not dressed in escapes either."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    with CliRunner().isolation(color=True) as (out, *_):
        print_event(an_event(), as_json=False)
        print_event(msgspec.structs.replace(an_event(), level="error"), as_json=False)
        info, error = out.getvalue().decode().splitlines()
    assert ("\x1b" in info, "\x1b[31merror" in error) == (False, True)
    monkeypatch.setenv("NO_COLOR", "1")
    with CliRunner().isolation(color=True) as (out, *_):
        print_event(msgspec.structs.replace(an_event(), level="error"), as_json=False)
        assert b"\x1b" not in out.getvalue()


@pytest.mark.journey
def test_the_running_gateways_log_is_shown(home: Path, gateway: Gateway) -> None:
    """The last lines, those of a level, those that are young enough, and as JSON; only to who has the key."""
    with live_gateway(home, [{"use": "echo"}], api_keys=["k-12345678"]):
        done = gateway("logs")
        assert (done.returncode, done.stderr) == (0, "")
        assert "serve.listening address=http://127.0.0.1:" in done.stdout
        assert "k-12345678" not in done.stdout
        lines = [msgspec.json.decode(line, type=LogEvent) for line in gateway("logs", "--json").stdout.splitlines()]
        assert {"serve.listening", "serve.ready"} <= {line.event for line in lines}
        assert len(gateway("logs", "-n", "1").stdout.splitlines()) == 1
        assert gateway("logs", "--level", "error").stdout == ""
        assert "serve.ready" in gateway("logs", "--since", "1d").stdout
        assert gateway("logs", "--since", "0").stdout == ""
        assert "expected a span such as 90s" in gateway("logs", "--since", "soon").stderr
        other = home / "other.toml"
        other.write_text(home.joinpath("gateway.toml").read_text().replace("k-12345678", "other"))
        done = gateway("logs", "-c", str(other))
        assert done.returncode == 1
        assert "takes none of the API keys configured here" in done.stderr
    for words in (("logs",), ("logs", "--follow")):
        done = gateway(*words)
        assert (done.returncode, done.stdout) == (1, "")
        assert "no gateway answers at http://127.0.0.1:" in done.stderr


@pytest.mark.timeout(300)
@pytest.mark.journey
def test_the_log_is_followed_through_a_restart(home: Path, environ: dict[str, str]) -> None:
    """New events come as they are logged; that the gateway went is said, and its next run's events follow."""
    with live_gateway(home, [{"use": "echo"}]) as running:
        port = int(running.url.rpartition(":")[2])
        with terminal((*COMMAND, "--follow"), cwd=home, env=environ, columns=160) as screen:
            screen.until("serve.ready")
            running.get("/v1/models")
            screen.until("http.answered")
            running.process.terminate()
            screen.until("is not running; trying again")
            with live_gateway(home, [{"use": "echo", "model": "parrot"}], port=port):
                screen.until("parrot")
                screen.type("\x03")
                assert screen.end() == 0


@pytest.mark.journey
def test_a_gateway_that_remembers_nothing_says_so(home: Path, gateway: Gateway) -> None:
    """With what to set."""
    with live_gateway(home, [{"use": "echo"}], kept_log_events=0):
        done = gateway("logs")
    assert (done.returncode, done.stdout) == (1, "")
    assert "set kept_log_events in [gateway] above 0" in done.stderr
