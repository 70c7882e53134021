"""What this build of llama.cpp can do, as one line of JSON: ``python -m swarmgate_backend_llamacpp.engine.facts``.

A process of its own, because a library that was compiled for another processor ends the process that loads it.
"""

from __future__ import annotations

import sys

import llama_cpp
import msgspec

from swarmgate_backend_llamacpp.ggml import CPU, open_ggml


class EngineFacts(msgspec.Struct, frozen=True, kw_only=True):
    """*rpc* is whether it was built with that, *features* what of the processor it uses.

    *devices* are those found here but the processor, by llama.cpp's names, each with its maker's.
    """

    version: str
    rpc: bool
    features: list[str] = []
    devices: list[str] = []


def facts() -> EngineFacts:
    """Return what the libraries say of themselves; loads them."""
    llama_cpp.llama_backend_init()
    rpc = bool(llama_cpp.llama_supports_rpc())
    return EngineFacts(
        version=llama_cpp.__version__,
        rpc=rpc,
        features=features(llama_cpp.llama_print_system_info().decode("utf-8", "replace")),
        devices=_devices() if rpc else [],
    )


def features(system_info: str) -> list[str]:
    """Return what *system_info*, llama.cpp's own line, has as switched on: ``CPU : SSE3 = 1 | AVX2 = 1 | …``."""
    pairs = (each.partition("=") for part in system_info.split("|") for each in [part.rpartition(":")[2]])
    return [name.strip() for name, separator, value in pairs if separator and value.strip() == "1"]


def _devices() -> list[str]:
    ggml = open_ggml()
    return [
        f"{name} ({ggml.description(handle)})" for name, handle in ggml.devices().items() if ggml.kind(handle) != CPU
    ]


if __name__ == "__main__":
    sys.stdout.write(msgspec.json.encode(facts()).decode() + "\n")
