"""Prints how many bytes are free on this machine's GPUs: ``python -m swarmgate_backend_llamacpp.engine.gpus``."""

from __future__ import annotations

import os
import sys

import llama_cpp

from swarmgate_backend_llamacpp.ggml import GPU, Ggml, open_ggml


def gpus(ggml: Ggml) -> list[int]:
    """Return this machine's GPUs that have a memory of their own, in llama.cpp's order."""
    return [handle for handle in ggml.devices().values() if ggml.kind(handle) == GPU]


def main() -> None:
    """Print one number, whatever the drivers print."""
    out = os.dup(1)
    os.dup2(2, 1)
    llama_cpp.llama_backend_init()
    ggml = open_ggml()
    os.write(out, b"%d\n" % sum(ggml.memory(handle).free for handle in gpus(ggml)))


if __name__ == "__main__":
    sys.exit(main())
