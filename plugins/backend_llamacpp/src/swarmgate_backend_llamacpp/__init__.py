"""llama.cpp as a backend: continuous batching in a supervised child process."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from swarmgate.api import Backend, Part, PartContext, hookimpl

from swarmgate_backend_llamacpp.options import LlamaOptions


@asynccontextmanager
async def open_llamacpp(options: LlamaOptions, context: PartContext) -> AsyncGenerator[Backend]:
    """Read the model file's head; the engine starts when the gateway asks it to load."""
    from swarmgate_backend_llamacpp.backend import open_backend  # importing a plugin is light

    async with open_backend(options) as backend:
        yield backend


@hookimpl
def swarmgate_backend() -> list[Part[Any, Backend]]:
    """Offer the backend ``llamacpp``."""
    return [
        Part(
            "llamacpp",
            "Serves a GGUF model with llama.cpp: many answers at once, in a process of its own.",
            LlamaOptions,
            open_llamacpp,
        )
    ]
