"""Runs a real ``gateway run`` for tests: its own process, its own config file, a free port on loopback."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class LiveGateway:
    """A running gateway: its address, its process, and where its output goes."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path

    def said(self) -> str:
        """Return what it has written so far."""
        return self.log.read_text(errors="replace")


@contextmanager
def live_gateway(
    folder: Path, backends: Sequence[Mapping[str, Any]], *, ready_seconds: float = 120.0, **settings: Any
) -> Generator[LiveGateway]:
    """Run a gateway in *folder* with *backends* and *settings* until the block ends; begin when it is ready.

    Raises:
        RuntimeError: it ended, or was not ready in time; the message has the end of its output.

    """
    running = launch(folder, backends, **settings)
    with running.process as process:
        try:
            until_ready(running, ready_seconds)
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
    port: int | None = None,
    **settings: Any,
) -> LiveGateway:
    """Start a gateway in *folder*, with what further *tables* its file shall have; whoever calls ends it.

    *arguments* is the command with its flags; *environ* are its variables besides the usual ones.
    """
    folder.mkdir(parents=True, exist_ok=True)
    port = port or free_port()
    written = [("[gateway]", {"listen": f"127.0.0.1:{port}", "state_dir": str(folder), **settings})]
    written += [("[[backend]]", dict(backend)) for backend in backends]
    written += [(head, dict(table)) for head, table in tables]
    # A JSON string, number, boolean or list of them is a TOML one, too.
    lines = [line for head, table in written for line in (head, *(f"{k} = {json.dumps(v)}" for k, v in table.items()))]
    (folder / "gateway.toml").write_text("\n".join(lines) + "\n")
    log = folder / "gateway.log"
    command = [str(Path(sys.executable).with_name("gateway")), *arguments]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GATEWAY_")}
    with log.open("ab") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, cwd=folder, env={**clean, **(environ or {})})
    return LiveGateway(f"http://127.0.0.1:{port}", process, log)


def free_port() -> int:
    """Return a port of loopback on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


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
