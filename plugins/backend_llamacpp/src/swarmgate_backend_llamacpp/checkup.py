"""What ``gateway doctor`` asks of the engine: whether it is built, with RPC, and for this processor."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec

import anyio
import msgspec
from swarmgate.api import Ailment, Check, Finding

_COMMAND = (sys.executable, "-m", "swarmgate_backend_llamacpp.engine.facts")
#: The longest line of what a failing process said that is passed on.
_LONGEST = 300

MISSING = Ailment(
    code="engine.missing",
    meaning="llama-cpp-python, which computes, is not installed in this environment.",
    remedy="`make setup-engine` compiles it (minutes, once); `make wheels` makes a wheel of it for other machines.  A"
    " door without models of its own, `gateway federated`, does without.",
)
BROKEN = Ailment(
    code="engine.broken",
    meaning="llama-cpp-python is installed and cannot be loaded: a library is missing, or it was compiled for another"
    " processor.",
    remedy="Compile it on this machine: `uv pip uninstall llama-cpp-python`, `uv cache clean llama-cpp-python`, then"
    " `make setup-engine`.  What `make wheels` makes is for any x86-64 processor with AVX2.",
)
NO_RPC = Ailment(
    code="engine.no_rpc",
    meaning="The engine was built without RPC, as ready-made wheels are: models cannot be split over workers, and this"
    " machine cannot lend.",
    remedy="Compile it with RPC: `uv pip uninstall llama-cpp-python`, then `make setup-engine`.",
)


class _Facts(msgspec.Struct):
    """What :mod:`swarmgate_backend_llamacpp.engine.facts` prints."""

    version: str
    rpc: bool
    features: list[str]
    devices: list[str]


ENGINE = Check(
    name="engine",
    summary="the engine, llama.cpp",
    ailments=(MISSING, BROKEN, NO_RPC),
    examine=lambda _: examine(),
    parts=frozenset({"backend/llamacpp"}),
)


async def examine(command: Sequence[str] = _COMMAND) -> Sequence[Finding]:
    """Return what is to be said of the engine that *command* loads, in a process that it may take along."""
    if find_spec("llama_cpp") is None:
        return [MISSING.found("llama-cpp-python is not installed")]
    done = await anyio.run_process(command, check=False, stderr=subprocess.PIPE)
    if done.returncode:
        return [BROKEN.found(_death(done.returncode, done.stderr.decode("utf-8", "replace")))]
    try:
        facts = msgspec.json.decode(done.stdout, type=_Facts)
    except msgspec.MsgspecError as error:
        return [BROKEN.found(f"says nothing that makes sense: {error}")]
    return judged(facts)


def judged(facts: _Facts) -> list[Finding]:
    """Return what is to be said of an engine with these *facts*."""
    about = f"llama-cpp-python {facts.version}"
    found = [
        Finding(what="built with RPC", about=about) if facts.rpc else NO_RPC.found("built without RPC", about=about),
        Finding(what=f"uses {', '.join(facts.features) or 'nothing special'}", about="processor"),
    ]
    devices = ", ".join(facts.devices) or "none but the processor"
    return [*found, Finding(what=devices, about="devices")]


def _death(status: int, said: str) -> str:
    """Return why a process ended: by *status*, negative for a signal, and the last line that it *said*."""
    if status == -signal.SIGILL:
        return "was compiled for another processor: it met an instruction that this one does not have (SIGILL)"
    if status < 0:
        return f"ended its process by {signal.Signals(-status).name}"
    lines = [line for line in said.splitlines() if line.strip()]
    return f"cannot be loaded: {lines[-1].strip()[:_LONGEST] if lines else f'status {status}'}"
