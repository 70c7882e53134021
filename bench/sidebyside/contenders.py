"""Starts what is measured: the gateway, llama-server, a bare ASGI application."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
import sys
import urllib.error
import urllib.request
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from time import monotonic

import msgspec

_READY_SECONDS = 120.0
#: Where listeners' ports are drawn from: below those that the system gives to connections.
_LEAST_PORT, _PORTS = 10_000, 22_000


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What both sides are told alike.  *context_size* is what all slots share."""

    model: str
    slots: int = 8
    context_size: int = 16384
    request_context: int = 8192
    threads: int = 1
    kv_type: str = "f16"
    flash_attention: str = "on"


class Contender(msgspec.Struct, frozen=True):
    """A running server on loopback."""

    name: str
    pid: int
    port: int

    async def settle(self) -> None:
        """Wait until neither it nor its children have used the processor for a fifth of a second.

        Raises:
            TimeoutError: it is still busy after a minute.

        """
        async with asyncio.timeout(60):
            before = -1.0
            while (now := sum(processor_seconds(pid) for pid in family(self.pid))) - before > 0.02:  # noqa: PLR2004 - two ticks
                before = now
                await asyncio.sleep(0.2)


def family(pid: int) -> list[int]:
    """Return *pid* and the processes below it, on Linux."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            found += family(int(child))
    return found


def processor_seconds(pid: int) -> float:
    """Return the processor time *pid* has used, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@asynccontextmanager
async def gateway(
    settings: Settings, folder: Path, *, exact: bool = True, workers: Sequence[str] = (), swarm: str = ""
) -> AsyncGenerator[Contender]:
    """Run ``gateway run`` with a config file that serves the model by llama.cpp; *exact* is the option.

    With *workers*, addresses, the model is split over them and this machine; with *swarm*, the text of a member's
    configuration, over those that are found in it.
    """
    table = {
        "use": "llamacpp",
        "model": settings.model,
        "name": "model",
        "slots": settings.slots,
        "context_size": settings.request_context,
        "kv_size": settings.context_size,
        "threads": settings.threads,
        "flash_attention": settings.flash_attention,
        "type_k": settings.kv_type,
        "type_v": settings.kv_type,
        "exact": exact,
    }
    async with run_gateway([table], folder, workers, swarm) as contender:
        yield contender if exact else msgspec.structs.replace(contender, name="gateway, exact = false")


@asynccontextmanager
async def run_gateway(
    backends: Sequence[Mapping[str, object]], folder: Path, workers: Sequence[str] = (), swarm: str = ""
) -> AsyncGenerator[Contender]:
    """Run ``gateway run`` in *folder* with the given backends, split over *workers*, or a *swarm*, if there are any."""
    port = free_port()
    lines = ["[gateway]", f'listen = "127.0.0.1:{port}"', f'state_dir = "{folder}"', 'log_format = "json"']
    if workers:
        listed = msgspec.json.encode(list(workers)).decode()
        lines += ['placement = "split"', "[[discovery]]", 'use = "static"', f"workers = {listed}"]
    if swarm:
        lines += ['placement = "split"', swarm]
    for table in backends:
        # A JSON string or number is a TOML one, too.
        lines += ["[[backend]]", *(f"{key} = {msgspec.json.encode(value).decode()}" for key, value in table.items())]
    (folder / "gateway.toml").write_text("\n".join(lines) + "\n")
    command = [str(Path(sys.executable).with_name("gateway")), "run"]
    async with running("gateway", command, port, "/readyz", folder) as contender:
        yield contender


@asynccontextmanager
async def llama_server(settings: Settings, binary: Path, folder: Path, *more: str) -> AsyncGenerator[Contender]:
    """Run llama-server with the same settings and *more*; its prompt cache and batching stay as it ships."""
    port = free_port()
    command = [str(binary), "--model", settings.model, "--host", "127.0.0.1", "--port", str(port)]
    command += ["--parallel", str(settings.slots), "--ctx-size", str(settings.context_size), "--kv-unified"]
    command += ["--threads", str(settings.threads), "--flash-attn", settings.flash_attention]
    command += ["--cache-type-k", settings.kv_type, "--cache-type-v", settings.kv_type, "--no-webui", *more]
    async with running("llama-server", command, port, "/health", folder) as contender:
        yield contender


@asynccontextmanager
async def worker(
    folder: Path, name: str, listen: str = "127.0.0.1:0", *, swarm: str = ""
) -> AsyncGenerator[tuple[str, int]]:
    """Run ``gateway worker llama-cpp-rpc`` with one thread; yield its address and process.

    Its state, and so its tensor cache, is the folder *name* of *folder*.  With *swarm*, the text of a member's
    configuration, it offers itself there.
    """
    command = [str(Path(sys.executable).with_name("gateway")), "worker", "llama-cpp-rpc", "--listen", listen]
    command += ["--threads", "1", "--state-dir", str(folder / name), "--json"]
    if swarm:
        file = folder / f"{name}.toml"
        file.write_text(f"[gateway]\n{swarm}\n")
        command += ["--config", str(file)]
    with (folder / f"{name}.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, stderr=log)
    try:
        assert process.stdout is not None  # noqa: S101 - for the type checker
        told = msgspec.json.decode(await asyncio.wait_for(process.stdout.readline(), _READY_SECONDS))
        yield f"{told['host']}:{told['port']}", process.pid
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


@asynccontextmanager
async def bare_application(folder: Path, pieces: int) -> AsyncGenerator[Contender]:
    """Run uvicorn with an application that does nothing but stream *pieces* fixed events."""
    port = free_port()
    module = Path(__file__).with_name("bare.py")
    command = [sys.executable, str(module), str(port), str(pieces)]
    async with running("bare ASGI", command, port, "/readyz", folder) as contender:
        yield contender


def free_port() -> int:
    """Return a port of loopback that is free now, and that the system gives to no connection meanwhile.

    Whoever is to listen there may take seconds to do so; ports from 32768 up are drawn for whoever connects.
    """
    while True:
        port = _LEAST_PORT + secrets.randbelow(_PORTS)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


@asynccontextmanager
async def running(name: str, command: Sequence[str], port: int, ready: str, folder: Path) -> AsyncGenerator[Contender]:
    """Run *command* in *folder* until the block ends; begin when it answers the path *ready* on loopback *port*.

    Raises:
        RuntimeError: it ended, or did not answer in time; the message has the end of its output.

    """
    log = folder / f"{name.replace(' ', '-')}.log"
    with log.open("wb") as out:
        process = await asyncio.create_subprocess_exec(*command, stdout=out, stderr=out, cwd=folder)
    try:
        await _ready(name, process, f"http://127.0.0.1:{port}{ready}", log)
        yield Contender(name, process.pid, port)
    finally:
        if process.returncode is None:
            process.terminate()
            try:
                await asyncio.wait_for(process.wait(), 15)
            except TimeoutError:
                process.kill()
                await process.wait()


async def _ready(name: str, process: asyncio.subprocess.Process, url: str, log: Path) -> None:
    until = monotonic() + _READY_SECONDS
    while not await asyncio.to_thread(_answers, url):
        if process.returncode is not None or monotonic() > until:
            why = f"{name} did not become ready (exit status {process.returncode})"
            raise RuntimeError(f"{why}:\n{_tail(log)}")
        await asyncio.sleep(0.1)


def _tail(log: Path) -> str:
    return log.read_text(errors="replace")[-2000:]


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2):
            return True
    except (urllib.error.URLError, OSError):
        return False
