"""The binding of ggml, as far as it goes without the compiled engine."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from swarmgate.api import EngineError
from swarmgate_backend_llamacpp.ggml import Ggml, library_folder


def test_a_missing_library_is_named(tmp_path: Path) -> None:
    """With the folder and the remedy."""
    with pytest.raises(EngineError, match=rf"has no library ggml in {tmp_path}; run `make setup-engine`"):
        Ggml(tmp_path)


def test_another_folder_can_be_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """By the variable that llama-cpp-python itself obeys."""
    monkeypatch.setenv("LLAMA_CPP_LIB_PATH", str(tmp_path))
    assert library_folder() == tmp_path


@pytest.mark.engine
def test_the_libraries_are_found_without_loading_them() -> None:
    """The gateway's own process stays free of llama.cpp."""
    program = (
        "import sys; from swarmgate_backend_llamacpp.ggml import library_folder;"
        " assert (library_folder() / 'libggml-rpc.so').exists(); assert 'llama_cpp' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.engine
def test_free_memory_of_gpus_is_one_number() -> None:
    """Nothing here: this machine's devices are CPUs."""
    command = [sys.executable, "-m", "swarmgate_backend_llamacpp.engine.gpus"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(done.stdout) >= 0
