from __future__ import annotations

import pytest

facts = pytest.importorskip("swarmgate_backend_llamacpp.engine.facts", reason="the engine is not installed")
pytestmark = pytest.mark.engine


def test_what_is_switched_on_is_listed() -> None:
    """llama.cpp's own line has a backend's name in front of its first fact, and an empty part at its end."""
    line = "CPU : SSE3 = 1 | AVX = 0 | AVX2 = 1 | LLAMAFILE = 1 | CUDA : ARCHS = 890 | "
    assert facts.features(line) == ["SSE3", "AVX2", "LLAMAFILE"]
    assert facts.features("") == []
