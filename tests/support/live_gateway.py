"""Runs a real ``gateway run`` for tests: its own process, its own config file, a free port on loopback."""

from __future__ import annotations

import json
import secrets
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from live_worker import clean_environ

#: Where listeners' ports are drawn from: below those that the system gives to connections.
_LEAST_PORT, _PORTS = 10_000, 22_000


@dataclass(frozen=True)
class LiveGateway:
    """A running gateway: its address, its process, and where its output goes."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path

    def said(self) -> str:
        """Return what it has written so far."""
        return self.log.read_text(errors="replace")

    @property
    def engines(self) -> list[int]:
        """Return its children: the engines' processes."""
        pid = self.process.pid
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def get(self, path: str) -> Any:
        """Return the JSON at *path*, whatever the status."""
        try:
            with urllib.request.urlopen(f"{self.url}{path}", timeout=10) as response:
                return json.loads(response.read())
        except urllib.error.HTTPError as error:
            return json.loads(error.read())


@dataclass(frozen=True)
class Site:
    """The machine a gateway runs on: its address, what stands before its command, and how to get at its sockets.

    *inside* runs a function where that address can be dialled.
    """

    host: str = "127.0.0.1"
    prefix: tuple[str, ...] = ()
    inside: Callable[[Callable[[], Any]], Any] = lambda do: do()


HERE = Site()


@contextmanager
def live_gateway(
    folder: Path,
    backends: Sequence[Mapping[str, Any]],
    *,
    workers: Sequence[str] = (),
    environ: Mapping[str, str] | None = None,
    site: Site = HERE,
    port: int | None = None,
    wait: bool = True,
    ready_seconds: float = 120.0,
    **settings: Any,
) -> Generator[LiveGateway]:
    """Run a gateway in *folder* with *backends* and *settings* until the block ends; begin when it is ready.

    *workers* are addresses for the static list.  Without *wait* it begins when it answers at all.

    Raises:
        RuntimeError: it ended, or was not ready in time; the message has the end of its output.

    """
    running = launch(folder, backends, workers=workers, environ=environ, site=site, port=port, **settings)
    with running.process as process:
        try:
            site.inside(lambda: until_ready(running, ready_seconds, path="/readyz" if wait else "/livez"))
            yield running
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()


def launch(
    folder: Path,
    backends: Sequence[Mapping[str, Any]],
    *,
    arguments: Sequence[str] = ("run",),
    environ: Mapping[str, str] | None = None,
    tables: Sequence[tuple[str, Mapping[str, Any]]] = (),
    workers: Sequence[str] = (),
    port: int | None = None,
    site: Site = HERE,
    **settings: Any,
) -> LiveGateway:
    """Start a gateway in *folder*, with what further *tables* its file shall have; whoever calls ends it.

    *arguments* is the command with its flags; *environ* are its variables besides the usual ones.  *workers* are
    addresses for the static list.
    """
    folder.mkdir(parents=True, exist_ok=True)
    port = port or site.inside(free_port)
    written = [("[gateway]", {"listen": f"{site.host}:{port}", "state_dir": str(folder), **settings})]
    if workers:
        written.append(("[[discovery]]", {"use": "static", "workers": list(workers)}))
    written += [("[[backend]]", dict(backend)) for backend in backends]
    written += [(head, dict(table)) for head, table in tables]
    # A JSON string, number, boolean or list of them is a TOML one, too.
    lines = [line for head, table in written for line in (head, *(f"{k} = {json.dumps(v)}" for k, v in table.items()))]
    (folder / "gateway.toml").write_text("\n".join(lines) + "\n")
    log = folder / "gateway.log"
    command = [*site.prefix, str(Path(sys.executable).with_name("gateway")), *arguments]
    with log.open("ab") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, cwd=folder, env=clean_environ(**(environ or {})))
    return LiveGateway(f"http://{site.host}:{port}", process, log)


def free_port() -> int:
    """Return a port of loopback on which nobody listens, and that the system gives to no connection meanwhile.

    Whoever is to listen there may take seconds to do so; ports from 32768 up are drawn for whoever connects.
    """
    while True:
        port = _LEAST_PORT + secrets.randbelow(_PORTS)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def until_ready(gateway: LiveGateway, seconds: float, *, path: str = "/readyz") -> None:
    """Wait until *gateway* answers well at *path*.

    Raises:
        RuntimeError: it ended, or did not in time; the message has the end of its output.

    """
    until = time.monotonic() + seconds
    why = "no answer"
    while time.monotonic() < until:
        if gateway.process.poll() is not None:
            raise RuntimeError(
                f"the gateway exited with status {gateway.process.returncode}:\n{gateway.said()[-3000:]}"
            )
        try:
            with urllib.request.urlopen(gateway.url + path, timeout=2):
                return
        except urllib.error.HTTPError as error:
            why = f"{error.code} {error.read().decode(errors='replace')}"
        except OSError as error:
            why = str(error)
        time.sleep(0.03)
    raise RuntimeError(f"the gateway was not ready within {seconds:g} s ({why}):\n{gateway.said()[-3000:]}")
