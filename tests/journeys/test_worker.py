"""A worker as people start it: the real command, llama.cpp's server behind, and every way to end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest
from swarmgate.api import Endpoint, Unreachable
from swarmgate_backend_llamacpp.rpc.client import probe

pytestmark = [pytest.mark.engine, pytest.mark.journey]


@contextmanager
def a_worker(home: Path, *arguments: str) -> Generator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """Yield a running worker, and what it said it lends."""
    command = [sys.executable, "-m", "swarmgate", "worker", "llama-cpp-rpc", *arguments, "--json"]
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("GATEWAY_", "XDG_"))}
    with subprocess.Popen(
        command, cwd=home, env={**environ, "HOME": str(home)}, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            yield process, msgspec.json.decode(process.stdout.readline())
        finally:
            process.kill()


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


async def until_gone(pids: list[int]) -> None:
    with anyio.fail_after(10):
        while any(Path(f"/proc/{pid}").exists() for pid in pids):  # noqa: ASYNC110 -- processes of others
            await anyio.sleep(0.02)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
@pytest.mark.anyio
async def test_a_worker_leaves_nothing_behind(tmp_path: Path, how: signal.Signals) -> None:
    """Started in llama.cpp's words it lends what it was told to; however it ends, its server ends with it."""
    words = "-H 127.0.0.1 -p 0 -m 256 -t 1"
    with a_worker(tmp_path, f"--llama-cpp-args={words}") as (process, told):
        endpoint = Endpoint(told["host"], told["port"])
        facts = await probe(endpoint)
        assert facts.memory_total_bytes == 256 << 20
        assert told["labels"]["memory_total_bytes"] == str(256 << 20)
        pids = children(process.pid)
        assert len(pids) == 1
        process.send_signal(how)
        assert process.wait(20) == (0 if how != signal.SIGKILL else -signal.SIGKILL)
        await until_gone(pids)
        with pytest.raises(Unreachable, match="nothing answers at"):
            await probe(endpoint)
    assert (tmp_path / ".local" / "state" / "swarmgate" / "worker" / "tensors").is_dir()


def test_faults_are_told_in_a_line(tmp_path: Path) -> None:
    """An argument that is none, or means nothing, ends the call with status 2; what is wrong is named."""
    for words, said in (("-m 0", "-m 0 lends nothing"), ("-q", "unknown argument '-q'")):
        command = [sys.executable, "-m", "swarmgate", "worker", "llama-cpp-rpc", f"--llama-cpp-args={words}"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=100, check=False)
        assert done.returncode == 2
        assert said in done.stderr
