"""Measures what is free on this machine's GPUs, without bringing their libraries into this process."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterable

import anyio
import structlog

from swarmgate_backend_llamacpp.ggml import library_folder

#: Libraries of ggml for devices with a memory of their own; Metal's is this machine's, which is counted already.
_LIBRARY = re.compile(r"(lib)?ggml-(cuda|hip|musa|vulkan|sycl|cann|opencl)\.(so|dylib|dll)")
#: How long drivers may take to start, in seconds.
_PATIENCE = 30.0


async def free_gpu_memory() -> int:
    """Return how many bytes are free on GPUs that have a memory of their own; 0 if there are none."""
    if not await anyio.to_thread.run_sync(_may_have_gpus):
        return 0
    command = [sys.executable, "-m", "swarmgate_backend_llamacpp.engine.gpus"]
    try:
        with anyio.fail_after(_PATIENCE):
            done = await anyio.run_process(command, stderr=subprocess.DEVNULL)
        return int(done.stdout)
    except (TimeoutError, OSError, ValueError, subprocess.CalledProcessError) as error:
        structlog.get_logger("swarmgate.llamacpp").warning("gpus.unmeasured", reason=str(error) or "no answer in time")
        return 0


def has_gpu_library(names: Iterable[str]) -> bool:
    """Return whether llama.cpp was built for GPUs with a memory of their own, from its libraries' file names."""
    return any(map(_LIBRARY.fullmatch, names))


def _may_have_gpus() -> bool:
    folder = library_folder()
    return folder is not None and folder.is_dir() and has_gpu_library(entry.name for entry in folder.iterdir())
