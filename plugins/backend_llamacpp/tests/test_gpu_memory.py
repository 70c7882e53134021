"""GPUs are found by llama.cpp's libraries, and measured in another process."""

from __future__ import annotations

from pathlib import Path

import pytest
from swarmgate_backend_llamacpp.gpu_memory import free_gpu_memory, has_gpu_library


@pytest.mark.parametrize(
    ("name", "has"),
    [
        ("libggml-cuda.so", True),
        ("libggml-vulkan.so", True),
        ("ggml-cuda.dll", True),
        ("libggml-cpu.so", False),
        ("libggml-rpc.so", False),
        ("libggml-metal.dylib", False),
        ("libggml-cuda.so.txt", False),
    ],
)
def test_libraries_tell(name: str, has: bool) -> None:
    """By their names alone; Metal's memory is the machine's and is counted already."""
    assert has_gpu_library(["libggml.so", name]) == has


@pytest.mark.anyio
async def test_without_gpus_there_is_nothing_to_measure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No library, no process, no memory."""
    monkeypatch.setenv("LLAMA_CPP_LIB_PATH", str(tmp_path))
    assert await free_gpu_memory() == 0


@pytest.mark.anyio
async def test_what_cannot_be_measured_counts_as_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A library that does not load makes a warning, not a failure."""
    (tmp_path / "libggml-cuda.so").write_text("no library")
    monkeypatch.setenv("LLAMA_CPP_LIB_PATH", str(tmp_path))
    assert await free_gpu_memory() == 0
