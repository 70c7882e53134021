"""Opens the llama.cpp backend for tests."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from swarmgate.api import SplitPlan
from swarmgate_backend_llamacpp.backend import LlamaBackend, open_backend
from swarmgate_backend_llamacpp.options import LlamaOptions


@asynccontextmanager
async def serving(path: Path, **options: Any) -> AsyncGenerator[LlamaBackend]:
    """Hold a loaded backend; one thread, for they spin."""
    async with open_backend(LlamaOptions(model=str(path), threads=1, **options)) as backend:
        await backend.load(SplitPlan())
        yield backend
