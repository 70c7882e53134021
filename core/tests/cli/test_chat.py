from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from live_gateway import live_gateway

Gateway = Callable[..., subprocess.CompletedProcess[str]]


def asked(home: Path, environ: dict[str, str], text: str, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "swarmgate", "chat", *words]
    return subprocess.run(
        command, input=text, cwd=home, env=environ, capture_output=True, text=True, timeout=50, check=False
    )


@pytest.mark.journey
def test_a_question_from_elsewhere_is_answered_alone(home: Path, environ: dict[str, str]) -> None:
    """The answer and nothing else; faults go to standard error, with status 1."""
    with live_gateway(home, [{"use": "echo", "aliases": ["polly"]}, {"use": "echo", "model": "b"}], api_keys=["k1"]):
        done = asked(home, environ, "say it\nagain\n", "echo")
        assert (done.returncode, done.stdout, done.stderr) == (0, "say it\nagain\n", "")
        assert asked(home, environ, "to polly", "polly").stdout == "to polly\n"
        assert asked(home, environ, "abcdef", "b", "--max-tokens", "3").stdout == "abc\n"
        done = asked(home, environ, "hello", "nobody")
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == "error: no model is called 'nobody'; there are: b, echo\n"
        done = asked(home, environ, "x" * 20_000, "echo")
        assert (done.returncode, done.stdout) == (1, "")
        assert "the context has 16384; shorten it" in done.stderr
        done = asked(home, environ, " \n")
        assert (done.returncode, "the input is empty" in done.stderr) == (1, True)
    done = asked(home, environ, "hello")
    assert (done.returncode, done.stdout) == (1, "")
    assert "no gateway answers at http://127.0.0.1:" in done.stderr


@pytest.mark.journey
def test_a_shell_completes_names(home: Path, gateway: Gateway) -> None:
    """Of models and nodes of the running gateway, and nothing where none runs."""

    def completed(typed: str, verb: str = "chat") -> list[str]:
        words = f"gateway {verb} {typed}"
        done = gateway(_GATEWAY_COMPLETE="bash_complete", COMP_WORDS=words, COMP_CWORD="2")
        assert done.stderr == ""
        return [line.rpartition(",")[2] for line in done.stdout.splitlines() if line]

    with live_gateway(home, [{"use": "echo", "aliases": ["polly"]}, {"use": "echo", "model": "parrot"}]):
        assert completed("p") == ["parrot", "polly"]
        assert completed("x") == []
        assert completed("", "drain") == ["echo", "echo-2"]
    assert completed("p") == []
