"""A gateway as people start it, with the echo backend, and clients that know nothing of it."""

from __future__ import annotations

import http.client
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread
from typing import Any

import msgspec
import pytest

pytestmark = pytest.mark.journey

_SCRIPTS = Path(sys.executable).parent
_IDLE_MEGABYTES = 120


@dataclass
class Gateway:
    """A running ``gateway run`` and what it has printed."""

    process: subprocess.Popen[str]
    lines: list[str] = field(default_factory=list[str])

    @property
    def printed(self) -> str:
        return "".join(self.lines)

    @property
    def port(self) -> int:
        found = re.search(r"OPENAI_BASE_URL=http://127\.0\.0\.1:(\d+)/v1", self.printed)
        assert found, self.printed
        return int(found[1])

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> tuple[int, Any]:
        connection = self.connect()
        try:
            content = None if body is None else msgspec.json.encode(body)
            connection.request(method, path, content, headers)
            response = connection.getresponse()
            found = response.read()
        finally:
            connection.close()
        return response.status, msgspec.json.decode(found) if found[:1] in b"{[" and found else found

    def wait_for(self, text: str) -> None:
        limit = time.monotonic() + 30
        while text not in self.printed:
            assert time.monotonic() < limit, self.printed
            assert self.process.poll() is None, self.printed
            time.sleep(0.02)


@contextmanager
def gateway(folder: Path, config: str, *, ready: bool = True) -> Generator[Gateway]:
    path = folder / "gateway.toml"
    path.write_text(config, encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GATEWAY_")}
    environment |= {"HOME": str(folder), "GATEWAY_STATE_DIR": str(folder / "state"), "PYTHONUNBUFFERED": "1"}
    command = [str(_SCRIPTS / "gateway"), "run", "--listen", "127.0.0.1:0", "--config", str(path)]
    with subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        running = Gateway(process)
        assert process.stdout is not None
        reader = Thread(target=running.lines.extend, args=(process.stdout,))
        reader.start()
        try:
            if ready:
                running.wait_for("OPENAI_BASE_URL")
            yield running
        finally:
            process.kill()
            process.wait()
            reader.join()


@pytest.fixture(scope="module")
def echo(tmp_path_factory: pytest.TempPathFactory) -> Generator[Gateway]:
    """Return a gateway with the echo backend that all these tests may ask."""
    with gateway(tmp_path_factory.mktemp("echo"), '[[backend]]\nuse = "echo"\n') as running:
        yield running


def hello(text: str = "hello there", **fields: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}], **fields}


def test_the_printed_curl_line_works(echo: Gateway) -> None:
    """The line that the gateway prints can be pasted as it is, and is answered."""
    line = next(line.strip() for line in echo.lines if line.strip().startswith("curl "))
    command, url, *_ = words = shlex.split(line)
    assert command == "curl"
    status, answer = echo.ask("POST", "/" + url.split("/", 3)[3], msgspec.json.decode(words[words.index("-d") + 1]))
    assert status == 200
    assert answer["choices"][0]["message"]["content"] == "Hello!"


def test_a_stream_comes_piece_by_piece(echo: Gateway) -> None:
    """Events arrive as a chunked response on a connection that is then used again."""
    connection = echo.connect()
    for _ in range(2):
        connection.request("POST", "/v1/chat/completions", msgspec.json.encode(hello(stream=True)))
        response = connection.getresponse()
        assert response.getheader("Content-Type") == "text/event-stream; charset=utf-8"
        assert response.getheader("Transfer-Encoding") == "chunked"
        events = [line for line in response.read().decode().split("\n\n") if line]
        assert events[-1] == "data: [DONE]"
        pieces = [msgspec.json.decode(event.removeprefix("data: "))["choices"][0]["delta"] for event in events[:-1]]
        assert "".join(piece.get("content", "") for piece in pieces) == "hello there"
        assert response.getheader("Connection") is None
    connection.close()


def test_head_has_no_body(echo: Gateway) -> None:
    """HEAD has GET's headers and nothing after them."""
    connection = echo.connect()
    connection.request("HEAD", "/v1/models")
    response = connection.getresponse()
    assert int(response.getheader("Content-Length") or 0) > 0
    assert response.read() == b""
    connection.request("GET", "/healthz")
    assert connection.getresponse().status == 200
    connection.close()


@pytest.mark.parametrize(
    "target",
    [
        b"/%00",
        b"//x",
        b"/%ff%fe",
        b"/a?b=%",
        b"/v1/models/%2e%2e/%2e%2e",
        b"/v1/models/a%2Fb%2Fc",
        b"/v1/models/" + b"x" * 5000,
    ],
    ids=["nul", "slashes", "no-utf8", "query", "dots", "slashes-in-name", "long"],
)
def test_odd_paths_are_told_in_openais_shape(echo: Gateway, target: bytes) -> None:
    """Whatever the path, the answer is an error that clients can read, never a failure of ours."""
    with socket.create_connection(("127.0.0.1", echo.port), timeout=20) as connection:
        connection.sendall(b"GET " + target + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 404"), head
    assert msgspec.json.decode(body)["error"]["type"] == "invalid_request_error"


def test_a_body_too_long_is_refused_while_it_is_sent(tmp_path: Path) -> None:
    """A client that sends more than is read hears so, chunked or not."""
    with gateway(tmp_path, '[gateway]\nmax_body_mb = 0.5\n[[backend]]\nuse = "echo"\n') as running:
        connection = running.connect()
        connection.request("POST", "/v1/chat/completions", b" " * 600_000)
        assert connection.getresponse().status == 413
        connection.close()
        connection = running.connect()
        connection.request("POST", "/v1/chat/completions", iter([b" " * 60_000] * 10), encode_chunked=True)
        response = connection.getresponse()
        assert response.status == 413
        assert msgspec.json.decode(response.read())["error"]["code"] == "body_too_large"
        connection.close()


def test_hanging_up_frees_the_slot(tmp_path: Path) -> None:
    """A client that goes away gives its slot to the next one at once."""
    config = '[[backend]]\nuse = "echo"\nslots = 1\ndelay_seconds = 0.2\n'
    with gateway(tmp_path, config) as running:
        long = msgspec.json.encode(hello("word " * 1000, stream=True))
        connection = running.connect()
        connection.request("POST", "/v1/chat/completions", long)
        connection.getresponse().read(10)
        connection.close()
        began = time.monotonic()
        assert running.ask("POST", "/v1/chat/completions", hello())[0] == 200
        assert time.monotonic() - began < 10
        running.wait_for("status=499")


def test_loading_is_told_and_waited_for(tmp_path: Path) -> None:
    """While a model loads the gateway lives, says how far it is, and holds requests until it can answer."""
    with gateway(tmp_path, '[[backend]]\nuse = "echo"\nload_seconds = 3\n', ready=False) as running:
        running.wait_for("serve.listening")
        found = re.search(r"http://127\.0\.0\.1:(\d+)", running.printed)
        assert found
        connection = http.client.HTTPConnection("127.0.0.1", int(found[1]), timeout=20)
        statuses: dict[str, int] = {}
        for path in ("/healthz", "/readyz", "/health"):
            connection.request("GET", path)
            response = connection.getresponse()
            response.read()
            statuses[path] = response.status
        assert statuses == {"/healthz": 200, "/readyz": 503, "/health": 503}
        connection.request("POST", "/v1/chat/completions", msgspec.json.encode(hello()))
        assert connection.getresponse().status == 200
        connection.close()
        running.wait_for("OPENAI_BASE_URL")
        assert re.search(r"loading \d+%", running.printed)


def test_keys_are_never_printed(tmp_path: Path) -> None:
    """With keys the printed line asks for one, and the key itself is nowhere to be seen."""
    config = '[gateway]\napi_keys = ["very-secret"]\n[[backend]]\nuse = "echo"\n'
    with gateway(tmp_path, config) as running:
        assert "Bearer $KEY" in running.printed
        assert running.ask("GET", "/v1/models")[0] == 401
        assert running.ask("GET", "/v1/models", Authorization="Bearer very-secret")[0] == 200
        assert running.ask("GET", "/v1/models", Authorization="Bearer very-secreT")[0] == 401
        running.wait_for("status=401")
        assert "very-secre" not in running.printed


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_order(tmp_path: Path, stop: signal.Signals) -> None:
    """Told to stop, the gateway lets the stream under way finish and leaves with status 0."""
    with gateway(tmp_path, '[[backend]]\nuse = "echo"\ndelay_seconds = 0.2\n') as running:
        connection = running.connect()
        connection.request("POST", "/v1/chat/completions", msgspec.json.encode(hello("one two three", stream=True)))
        response = connection.getresponse()
        running.process.send_signal(stop)
        assert response.read().endswith(b"data: [DONE]\n\n")
        connection.close()
        assert running.process.wait(timeout=20) == 0
        assert "Traceback" not in running.printed


def test_a_taken_port_is_an_error_with_a_remedy(tmp_path: Path, echo: Gateway) -> None:
    """A second gateway on the same port says so in one line and leaves with a status."""
    done = subprocess.run(
        [str(_SCRIPTS / "gateway"), "run", "--listen", f"127.0.0.1:{echo.port}"],
        cwd=tmp_path,
        env={**os.environ, "HOME": str(tmp_path), "GATEWAY_STATE_DIR": str(tmp_path / "state")},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode != 0
    assert f"cannot listen on 127.0.0.1:{echo.port}: something else listens there" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the memory in use from /proc")
def test_an_idle_gateway_is_small(echo: Gateway) -> None:
    """The gateway's own process stays within its limit, after it has worked as well."""
    for _ in range(20):
        assert echo.ask("POST", "/v1/chat/completions", hello(n=2))[0] == 200
    status = Path(f"/proc/{echo.process.pid}/status").read_text(encoding="utf-8")
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert found
    assert int(found[1]) / 1024 <= _IDLE_MEGABYTES


@pytest.mark.timeout(600)
def test_schemathesis_finds_nothing(echo: Gateway, tmp_path: Path) -> None:
    """Requests made from the OpenAPI document, good and bad, get no 5xx and no answer it does not describe."""
    program = _SCRIPTS / "schemathesis"
    assert program.exists(), "schemathesis is one of the development tools: run `make setup`"
    checks = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
    done = subprocess.run(
        [
            str(program),
            "run",
            f"http://127.0.0.1:{echo.port}/schema/openapi.json",
            f"--checks={checks},unsupported_method,negative_data_rejection",
            "--max-examples=20",
            "--generation-deterministic",
            "--no-color",
            "--exclude-path-regex=/v1/swarm/events|/models/unload",  # goes on for ever; takes the model from the others
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=580,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:]
