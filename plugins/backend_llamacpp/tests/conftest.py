"""Models for the engine's tests, written once."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest
from lenders import Lending, lending
from tinygguf import Shape, write_bert, write_llama


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a chat model with random weights, named m."""
    return write_llama(tmp_path_factory.mktemp("models") / "m.gguf", raw_bytes=True)


@pytest.fixture(scope="session")
def embedder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an embedding model with random weights, named m."""
    return write_bert(tmp_path_factory.mktemp("models") / "m.gguf")


@pytest.fixture(scope="session")
def reranker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a model that judges texts by a query, named m."""
    return write_bert(tmp_path_factory.mktemp("models") / "m.gguf", ranks=True)


@pytest.fixture(scope="session")
def layered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a chat model with random weights and four layers, named m."""
    return write_llama(tmp_path_factory.mktemp("models") / "m.gguf", shape=Shape(layers=4), raw_bytes=True)


@pytest.fixture(scope="session")
def two_lenders(tmp_path_factory: pytest.TempPathFactory) -> Generator[tuple[Lending, Lending]]:
    """Hold two lenders, a and b, whom a test leaves as it found them."""
    folder = tmp_path_factory.mktemp("lenders")
    with lending(folder / "a", "a") as one, lending(folder / "b", "b") as other:
        yield one, other
