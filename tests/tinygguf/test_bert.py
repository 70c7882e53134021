from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tinygguf import write_bert


def test_the_file_is_small(tmp_path: Path) -> None:
    """An embedding model for tests takes less than a megabyte."""
    assert write_bert(tmp_path / "bert.gguf").stat().st_size < 1 << 20


@pytest.mark.engine
def test_texts_that_share_words_are_near(tmp_path: Path, llama_class: Any) -> None:
    """The vectors mean something: shared words bring texts together, case does not matter."""
    model = llama_class(str(write_bert(tmp_path / "bert.gguf")), embedding=True, n_threads=1, verbose=False)
    texts = ["The weather in Paris", "the WEATHER in paris", "weather today in Paris", "def add(numbers): 42!"]
    vectors = np.array([model.embed(text) for text in texts])
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    assert vectors.shape == (4, 64)
    same, near, far = (vectors[1:] @ vectors[0]).tolist()
    assert same == pytest.approx(1.0, abs=1e-6)
    assert 0.99 > near > far + 0.2
