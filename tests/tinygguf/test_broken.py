from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tinygguf import write_cut_short, write_not_gguf, write_unknown_architecture, write_wrong_version

WRITERS = [write_cut_short, write_not_gguf, write_unknown_architecture, write_wrong_version]


@pytest.mark.engine
@pytest.mark.parametrize("write", WRITERS)
def test_llama_cpp_refuses_the_file(tmp_path: Path, llama_class: Any, write: Callable[[Path], Path]) -> None:
    """Each broken file is refused when it is loaded, and kills nobody."""
    with pytest.raises(ValueError, match="Failed to load model"):
        llama_class(str(write(tmp_path / "broken.gguf")), verbose=False)
