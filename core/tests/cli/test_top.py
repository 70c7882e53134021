from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from live_gateway import live_gateway
from pseudo_terminal import terminal

pytestmark = [pytest.mark.journey, pytest.mark.timeout(300)]
Gateway = Callable[..., subprocess.CompletedProcess[str]]
COMMAND = (sys.executable, "-m", "swarmgate", "top")


def test_the_gateway_is_watched_on_a_small_screen(home: Path, environ: dict[str, str]) -> None:
    """On 80 by 24: nodes, models and requests; a filter; draining asks; it outlives a restart; q and Ctrl-C quit."""
    with live_gateway(home, [{"use": "echo"}, {"use": "echo", "model": "crow"}], name="home") as running:
        port = int(running.url.rpartition(":")[2])
        with terminal(COMMAND, cwd=home, env=environ) as screen:
            shown = ("home, version", "tokens/s", "running", "nodes", "crow", "models", "requests", "filter", "quit")
            screen.until(lambda text: all(word in text for word in shown))
            running.get("/v1/models/nothing")
            screen.type("d")
            screen.until("send nothing new to echo?")
            screen.type("n")
            screen.until(lambda text: "send nothing new" not in text)
            screen.type("d")
            screen.until("send nothing new to echo?")
            screen.type("y")
            screen.until("echo: drained, nothing new is sent there")
            screen.until(lambda text: "draining" in text)
            screen.type("d")
            screen.until("take back in echo?")
            screen.type("y")
            screen.until("echo: in service again")
            screen.type("/")
            screen.until("show what contains")
            screen.type("crow\r")
            screen.until(lambda text: not any(line.lstrip().startswith("echo ") for line in text.splitlines()))
            screen.type("\x1b")
            screen.until(lambda text: any(line.lstrip().startswith("echo ") for line in text.splitlines()))
            running.process.terminate()
            screen.until("is not running; trying again")
            with live_gateway(home, [{"use": "echo", "model": "parrot"}], port=port, name="home"):
                screen.until(lambda text: "parrot" in text and "home, version" in text)
                screen.type("q")
                assert screen.end() == 0
                with terminal(COMMAND, cwd=home, env=environ) as again:
                    again.until("parrot")
                    again.type("\x03")
                    assert again.end() == 0


def test_it_needs_a_terminal_and_a_gateway(home: Path, gateway: Gateway, environ: dict[str, str]) -> None:
    """It says plainly what is missing."""
    done = gateway("top")
    assert (done.returncode, done.stdout) == (2, "")
    assert "elsewhere use `gateway status --watch`" in done.stderr
    with terminal(COMMAND, cwd=home, env=environ, columns=160) as screen:
        assert screen.end() == 1
        assert "no gateway answers at http://127.0.0.1:8080" in screen.text
