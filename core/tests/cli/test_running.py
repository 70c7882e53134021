from __future__ import annotations

import socket
import subprocess
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import msgspec
import pytest
from live_gateway import live_gateway
from swarmgate.cli.running import ask_running
from swarmgate.config.settings import Settings

Gateway = Callable[..., subprocess.CompletedProcess[str]]
SWARM: dict[str, Any] = {
    "gateway": {"name": "home", "id": "n1", "version": "1", "uptime_seconds": 1.5},
    "models": [],
    "workers": [],
}


@contextmanager
def answering(status: int, body: bytes) -> Generator[tuple[Settings, list[Any]]]:
    """Run a server that gives one answer; yield the settings of a gateway there, and what it was asked."""
    asked: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append((self.path, self.headers["Authorization"]))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 -- its own name
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever).start()
        try:
            yield Settings(listen=f"0.0.0.0:{server.server_port}", api_keys=("k1", "k2")), asked
        finally:
            server.shutdown()


def test_it_is_asked_with_one_of_our_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the address this machine dials, and by no proxy."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with answering(200, msgspec.json.encode(SWARM)) as (settings, asked):
        found = ask_running(settings)
    assert found.swarm is not None
    assert found.swarm.gateway.name == "home"
    assert asked == [("/v1/swarm", "Bearer k1")]


def test_another_s_key_is_worth_telling() -> None:
    """A gateway runs there, but says nothing to us."""
    with answering(401, b"{}") as (settings, _):
        found = ask_running(settings)
    assert found.swarm is None
    assert (
        found.fault == f"the gateway at {found.url} takes none of the API keys configured here; give it one of its own"
    )


@pytest.mark.parametrize(("status", "body"), [(404, b"{}"), (500, b""), (200, b"<html>"), (200, b'{"models": []}')])
def test_somebody_else_s_server_is_no_gateway(status: int, body: bytes) -> None:
    """Whatever it says is no reason to stop."""
    with answering(status, body) as (settings, _):
        assert ask_running(settings)[1:] == (None, "")


def test_where_nothing_runs_there_is_nothing() -> None:
    """A closed port, no port at all, and keys that fit into no header."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        listen = f"127.0.0.1:{closed.getsockname()[1]}"
        assert ask_running(Settings(listen=listen))[1:] == (None, "")
        assert ask_running(Settings(listen=listen, api_keys=("a\nb",)))[1:] == (None, "")
    assert ask_running(Settings(listen="127.0.0.1:0"))[1:] == (None, "")


def test_a_running_gateway_s_account_is_shown_whole(home: Path, gateway: Gateway) -> None:
    """The plan in force, the one that is being loaded, what waits (that is status 1), and who is left out and why."""
    sizes = {"weight_bytes": 2048, "cache_bytes": 0, "compute_bytes": 1024, "total_bytes": 3072}
    here = {"place": "here", "first_layer": 0, "last_layer": 8, "output": False, "share": 0.9, **sizes}
    there = {"place": "w1", "output": True, "share": 0.1, **sizes, "memory_bytes": 4096}
    loaded = {"name": "m", "backend": "b", "placement": "split", "plan": "it had to", "places": [here, there]}
    coming = {"plan": "w2 is gone", "places": [{"place": "here", "share": 1.0}]}
    waits = {"name": "n", "backend": "c", "placement": "auto", "waiting": "n needs 9 GiB", "reason": "n needs 9 GiB"}
    worker = {"node": "x", "service": "llama-rpc", "addresses": []}
    workers = [
        {**worker, "name": "w1", "state": "usable", "leased_by": "home", "model": "m"},
        {**worker, "name": "w2", "state": "left_out", "reason": "is off"},
        {**worker, "name": "w3", "state": "usable", "leased_by": "hall"},
        {**worker, "name": "w4", "state": "reaching"},
    ]
    models = [{**loaded, "ready": True, "coming": coming}, {**waits, "ready": False}]
    with answering(200, msgspec.json.encode({**SWARM, "models": models, "workers": workers})) as (settings, _):
        done = gateway("plan", GATEWAY_LISTEN=settings.listen)
        assert gateway("plan", "m", GATEWAY_LISTEN=settings.listen).returncode == 0
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.splitlines()[2:] == [
        "m: ready",
        "place  layers  share  weights  KV cache  computing  total    memory",
        "here   0-8     90.0%  2.0 KiB  0 B       1.0 KiB    3.0 KiB  -",
        "w1     output  10.0%  2.0 KiB  0 B       1.0 KiB    3.0 KiB  4.0 KiB",
        "",
        "it had to",
        "",
        "being loaded:",
        "place  share",
        "here   100.0%",
        "",
        "w2 is gone",
        "",
        "n: needs 9 GiB",
        "left out: w2: is off",
        "left out: w3: is lent to 'hall'",
        "left out: w4: has not answered yet",
    ]


def test_plan_shows_what_the_running_gateway_has(home: Path, gateway: Gateway) -> None:
    """Of a real one, with the key from its configuration: by name, by alias, all, and as JSON; a file is a dry run."""
    echo = {"use": "echo", "model": "parrot", "aliases": ["polly"]}
    with live_gateway(home, [echo, {"use": "echo"}], name="home", api_keys=["k1"]) as running:
        for name in ("parrot", "polly"):
            done = gateway("plan", name)
            assert (done.returncode, done.stderr) == (0, "")
            first, _, heading, *rows = done.stdout.splitlines()
            assert first == f"as the running gateway home at {running.url} has it"
            assert heading == "parrot: ready"
            assert [row.split() for row in rows[:2]] == [["place", "share"], ["here", "100.0%"]]
        assert "echo: ready" in gateway("plan").stdout
        facts = msgspec.json.decode(gateway("plan", "parrot", "--json").stdout)
        assert (facts["running"], [model["ready"] for model in facts["models"]]) == (running.url, [True])
        supposed = gateway("plan", "parrot", "--here", "1G", "--json")
        assert msgspec.json.decode(supposed.stdout)["running"] is None
        other = home / "other.toml"
        other.write_text(home.joinpath("gateway.toml").read_text().replace("k1", "k2"))
        noted = gateway("plan", "parrot", "-c", str(other))
        assert noted.returncode == 0
        assert noted.stderr.startswith(f"note: the gateway at {running.url} takes none of the API keys")
        assert "running gateway" not in noted.stdout
    assert "running gateway" not in gateway("plan", "parrot").stdout
