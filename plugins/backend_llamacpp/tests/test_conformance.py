"""The plugin and its backend, run through the kit that strangers' plugins run through."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest
from lenders import Lending, spread_over
from swarmgate.api import Backend, Lender
from swarmgate.testing import BackendContract, LenderContract, PluginContract
from swarmgate_backend_llamacpp.backend import LlamaBackend, open_backend
from swarmgate_backend_llamacpp.options import LlamaCppRpcOptions, LlamaOptions
from swarmgate_backend_llamacpp.rpc.lender import RpcLender


class TestPlugin(PluginContract):
    """The plugin keeps the house rules."""

    plugin = "llamacpp"


class LlamaContract(BackendContract):
    """The backend, over a tiny model that says different things to different prompts."""

    mortal = True
    path: Path

    def make(self) -> AbstractAsyncContextManager[Backend]:
        """Return a backend that is not loaded yet."""
        return self._open()

    async def kill(self, backend: Backend) -> None:
        """Kill the engine's process."""
        assert isinstance(backend, LlamaBackend)
        backend.kill()

    def running(self, backend: Backend) -> int | None:
        """Return how many answers the backend still waits for."""
        assert isinstance(backend, LlamaBackend)
        return backend.in_flight

    @asynccontextmanager
    async def _open(self) -> AsyncGenerator[Backend]:
        async with open_backend(LlamaOptions(model=str(self.path), threads=1, slots=2)) as backend:
            yield backend


@pytest.mark.engine
class TestWriter(LlamaContract):
    """A model that writes."""

    @pytest.fixture(autouse=True)
    def _tiny(self, tiny: Path) -> None:
        self.path = tiny


@pytest.mark.engine
class TestSplit(LlamaContract):
    """A model that writes, over two lenders; on asyncio alone, for its other half is in other processes."""

    @pytest.fixture(autouse=True)
    def _split(self, layered: Path, two_lenders: tuple[Lending, Lending]) -> None:
        self.path, self.lenders = layered, two_lenders

    @pytest.fixture
    def anyio_backend(self) -> str:
        """Run once."""
        return "asyncio"

    @asynccontextmanager
    async def _open(self) -> AsyncGenerator[Backend]:
        async with super()._open() as backend:
            await backend.load(spread_over(backend.models()[0], *(lender.worker for lender in self.lenders)))
            yield backend


@pytest.mark.engine
class TestEmbedder(LlamaContract):
    """A model that embeds; on asyncio alone, for the one that writes shows that the loop does not matter."""

    @pytest.fixture(autouse=True)
    def _embedder(self, embedder: Path) -> None:
        self.path = embedder

    @pytest.fixture
    def anyio_backend(self) -> str:
        """Run once."""
        return "asyncio"


@pytest.mark.engine
class TestReranker(LlamaContract):
    """A model that judges texts."""

    @pytest.fixture(autouse=True)
    def _reranker(self, reranker: Path) -> None:
        self.path = reranker


@pytest.mark.engine
class TestLender(LenderContract):
    """A lender of this machine."""

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path

    def make(self) -> AbstractAsyncContextManager[Lender]:
        """Return an open lender."""
        return self._open()

    @asynccontextmanager
    async def _open(self) -> AsyncGenerator[Lender]:
        yield RpcLender(LlamaCppRpcOptions(listen="127.0.0.1:0", threads=1), self.folder)
