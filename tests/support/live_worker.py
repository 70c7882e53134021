"""Runs a real ``gateway worker`` for tests: its own process, its own state folder, a port on loopback."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec


@dataclass(frozen=True)
class LiveWorker:
    """A running worker: where it listens, its process, and where its log goes."""

    address: str
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def port(self) -> int:
        """Return the port it listens on."""
        return int(self.address.rpartition(":")[2])

    @property
    def server(self) -> int | None:
        """Return the process of llama.cpp's RPC server, None while there is none."""
        pid = self.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return int(children[0]) if children else None

    def said(self) -> str:
        """Return what it has logged so far."""
        return self.log.read_text(errors="replace")


@contextmanager
def live_worker(
    folder: Path, name: str = "worker", *options: str, listen: str = "127.0.0.1:0", prefix: Sequence[str] = ()
) -> Generator[LiveWorker]:
    """Lend this machine by one thread until the block ends; begin when it listens.

    *options* are the command's own.  *prefix* stands before the command, such as ``ip netns exec NAME``.

    Raises:
        RuntimeError: it ended at once; the message has the end of its output.

    """
    home = folder / name
    home.mkdir(parents=True, exist_ok=True)
    log = home / "worker.log"
    command = [*prefix, sys.executable, "-m", "swarmgate", "worker", "llama-cpp-rpc", "--listen", listen]
    command += ["--threads", "1", "--name", name, "--state-dir", str(home), "--log-format", "json", "--json", *options]
    with (
        log.open("ab") as out,
        subprocess.Popen(
            command, cwd=home, env=clean_environ(HOME=str(home)), stdout=subprocess.PIPE, stderr=out
        ) as process,
    ):
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line:
                raise RuntimeError(f"the worker ended with status {process.wait(10)}:\n{log.read_text()[-3000:]}")
            told: dict[str, Any] = msgspec.json.decode(line)
            yield LiveWorker(f"{told['host']}:{told['port']}", process, log)
        finally:
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()


def clean_environ(**more: str) -> dict[str, str]:
    """Return this process's environment without anything that configures a gateway, and with *more*."""
    ours = ("GATEWAY_", "XDG_", "LLAMACPP_", "LOCALAI_", "FEDERATED_", "P2P_", "TOKEN")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)} | more
