"""Models for the engine's tests, written once."""

from __future__ import annotations

from pathlib import Path

import pytest
from tinygguf import write_bert, write_llama


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a chat model with random weights, named m."""
    return write_llama(tmp_path_factory.mktemp("models") / "m.gguf", raw_bytes=True)


@pytest.fixture(scope="session")
def embedder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an embedding model with random weights, named m."""
    return write_bert(tmp_path_factory.mktemp("models") / "m.gguf")
