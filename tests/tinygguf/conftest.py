from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture(scope="session")
def llama_class() -> Any:
    """llama-cpp-python's own high-level class: a judge we did not write."""
    return pytest.importorskip("llama_cpp", reason="llama-cpp-python is not installed").Llama
