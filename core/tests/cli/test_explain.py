from __future__ import annotations

import subprocess
import threading
import urllib.request
from collections.abc import Callable, Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import msgspec
import pytest
from live_gateway import live_gateway

Gateway = Callable[..., subprocess.CompletedProcess[str]]
SUMMARY: dict[str, Any] = {
    "id": "r1",
    "at": "2026-01-02T03:04:05Z",
    "route": "/v1/chat/completions",
    "model": "m",
    "status": 200,
    "seconds": 1.234,
    "queue_ms": 7,
    "attempts": 2,
    "resumed": 1,
    "worker": "b",
    "reason": "backend 'a' died",
}
PLACES = [
    {"place": "a", "score": 0.5, "chosen": True},
    {"place": "b", "score": 12.3456789},
    {"place": "c", "hindrance": "not ready"},
]
DECISIONS = [
    {"answer": 0, "chosen": "a", "reason": "least loaded", "shadow": "b", "places": PLACES},
    {
        "answer": 0,
        "chosen": "b",
        "reason": "only candidate",
        "shadow": "b",
        "places": [{"place": "b", "score": -0.0, "chosen": True}],
    },
]
WHOLE = {**SUMMARY, "prompt_tokens": 9, "completion_tokens": 4, "cached_tokens": 3, "decisions": DECISIONS}


@contextmanager
def answering(status: int, document: object) -> Generator[tuple[str, list[str]]]:
    """Run a server that gives one answer; yield its address, and what paths it was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(status)
            self.end_headers()
            self.wfile.write(msgspec.json.encode(document))

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 -- its own name
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever).start()
        try:
            yield f"127.0.0.1:{server.server_port}", asked
        finally:
            server.shutdown()


def test_a_request_is_explained_in_tables(home: Path, gateway: Gateway) -> None:
    """Each attempt with its places, their scores, who was chosen, what kept the others out, and the shadow."""
    with answering(200, WHOLE) as (listen, asked):
        done = gateway("explain", "r1/x?y", GATEWAY_LISTEN=listen)
    assert (done.returncode, done.stderr) == (0, "")
    assert asked == ["/v1/requests/r1/x%3Fy"]
    first, *rest = done.stdout.splitlines()
    assert first.startswith("r1: /v1/chat/completions of m, 2026-01-0")
    assert rest == [
        "200 after 1.23 s, of which 7 ms in the queue",
        "asked: 2 attempts, last b; resumed 1 time",
        "tokens: 9 read (3 held already), 4 written",
        "last failure: backend 'a' died",
        "",
        "1. a: least loaded",
        "place  score  chosen  why out",
        "a      0.5    yes",
        "b      12.35",
        "c      -              not ready",
        "the shadow would have chosen b",
        "",
        "2. b: only candidate",
        "place  score  chosen  why out",
        "b      0      yes",
        "the shadow would have chosen the same",
    ]


def test_a_request_may_run_or_have_been_given_up(home: Path, gateway: Gateway) -> None:
    """Nobody was chosen then; of several answers each attempt says its own, and how many are not kept."""
    decision = {"answer": 1, "chosen": None, "reason": "nobody is left", "places": []}
    told = {**WHOLE, "status": None, "error": "no_candidate", "decisions": [decision], "decisions_left_out": 2}
    del told["worker"], told["model"], told["reason"]
    with answering(200, told) as (listen, _):
        done = gateway("explain", "r1", GATEWAY_LISTEN=listen)
    assert done.stdout.splitlines()[1:] == [
        "running after 1.23 s, of which 7 ms in the queue",
        "asked: 2 attempts, last nobody; resumed 1 time",
        "tokens: not counted yet",
        "told to the client: no_candidate",
        "",
        "2 earlier decisions not kept",
        "",
        "3. answer 1, given up: nobody is left",
    ]


def test_the_latest_are_listed(home: Path, gateway: Gateway) -> None:
    """Without an id; what runs and what failed too, and where nothing is remembered, why."""
    running = {**SUMMARY, "id": "r2", "status": None, "error": "x"}
    with answering(200, {"kept": 5, "data": [running, SUMMARY]}) as (listen, asked):
        rows = [line.split() for line in gateway("explain", GATEWAY_LISTEN=listen).stdout.splitlines()]
        assert msgspec.json.decode(gateway("explain", "--json", GATEWAY_LISTEN=listen).stdout)["kept"] == 5
    assert rows[0] == ["id", "at", "model", "status", "seconds", "attempts", "worker", "error"]
    assert [(row[0], *row[2:]) for row in rows[1:]] == [
        ("r2", "m", "running", "1.23", "2", "b", "x"),
        ("r1", "m", "200", "1.23", "2", "b", "-"),
    ]
    assert asked[0] == "/v1/requests"
    for kept, why in ((0, "because kept_requests in [gateway] is 0"), (5, "yet")):
        with answering(200, {"kept": kept, "data": []}) as (listen, _):
            assert gateway("explain", GATEWAY_LISTEN=listen).stdout == f"no request is remembered {why}\n"


@pytest.mark.parametrize(
    ("status", "document", "message"),
    [
        (404, {"error": {"message": "no request 'r'", "code": "request_not_found"}}, "error: no request 'r'"),
        (404, {"error": {"message": "nothing here", "code": "not_found"}}, "is no gateway that can explain requests"),
        (200, {"hello": 1}, "is no gateway that can explain requests"),
        (500, None, "(status 500)"),
        (401, None, "takes none of the API keys configured here"),
    ],
)
def test_what_cannot_be_explained_has_status_one(
    home: Path, gateway: Gateway, status: int, document: object, message: str
) -> None:
    """An unknown id in the gateway's own words, and whatever else answers in a line of ours."""
    with answering(status, document) as (listen, _):
        done = gateway("explain", "r", GATEWAY_LISTEN=listen)
    assert (done.returncode, done.stdout) == (1, "")
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_where_no_gateway_runs_that_is_said(home: Path, gateway: Gateway) -> None:
    """With the address, and how to get at another."""
    done = gateway("explain", "r", GATEWAY_LISTEN="127.0.0.1:1")
    assert done.returncode == 1
    assert done.stderr.startswith("error: no gateway answers at http://127.0.0.1:1; start one")


def test_a_running_gateway_explains(home: Path, gateway: Gateway) -> None:
    """A real one, by the id that its answer had in its head."""
    echo = {"use": "echo", "model": "parrot"}
    with live_gateway(home, [echo, echo], name="home", kept_requests=3) as running:
        body = b'{"model":"parrot","messages":[{"role":"user","content":"tell nobody"}]}'
        ask = urllib.request.Request(f"{running.url}/v1/chat/completions", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(ask, timeout=10) as answer:
            name, reason = answer.headers["X-Request-ID"], answer.headers["X-Gateway-Route-Reason"]
        done = gateway("explain", name)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith(f"{name}: /v1/chat/completions of parrot, ")
        assert f": {reason}" in done.stdout
        assert "nobody" not in done.stdout
        assert msgspec.json.decode(gateway("explain", name, "--json").stdout)["id"] == name
        assert name in gateway("explain").stdout
        assert "the last 3" in gateway("explain", "other").stderr
