"""Nodes that many tests share: a child takes seconds to start."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest
import swarmgate_transport_libp2p.child  # noqa: F401  # pyright: ignore[reportUnusedImport]  # before any test imports libp2p
from libp2p_nodes import sidecars
from swarmgate_transport_libp2p.sidecar import Sidecar


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """Run on asyncio alone: the ledger's tests, on both loops, show that the loop does not matter."""
    return "asyncio"


@pytest.fixture(scope="module")
async def pair(anyio_backend: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[list[Sidecar]]:
    """Hold two nodes of one swarm that have not met; a test leaves them as it found them, or acquainted."""
    async with sidecars(tmp_path_factory.mktemp("pair")) as opened:
        yield opened
