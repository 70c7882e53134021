from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def anyio_backend() -> str:
    """Run on asyncio alone: that is what aiohttp knows."""
    return "asyncio"


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    file = tmp_path / "key.txt"
    file.write_text("# the key\n\nsesame\n")
    return file
