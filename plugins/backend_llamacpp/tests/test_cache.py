from __future__ import annotations

import os
from pathlib import Path

import pytest
from swarmgate.api import EngineError
from swarmgate_backend_llamacpp.rpc.cache import open_cache


def test_the_newest_tensor_is_not_trusted(tmp_path: Path) -> None:
    """The server may have been killed while it wrote it; all others stay."""
    for number, name in enumerate(("a", "c", "b")):
        (tmp_path / name).write_bytes(b"x")
        os.utime(tmp_path / name, ns=(number, number))
    open_cache(tmp_path)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a", "c"]


def test_a_folder_is_made(tmp_path: Path) -> None:
    """For its owner only, with all above it."""
    open_cache(tmp_path / "state" / "tensors")
    assert (tmp_path / "state" / "tensors").stat().st_mode & 0o777 == 0o700


def test_what_is_no_folder_is_named(tmp_path: Path) -> None:
    """The message says which, and what to set."""
    (tmp_path / "file").write_text("")
    with pytest.raises(EngineError, match=r"the tensor cache .*file cannot be used: .*set cache_dir"):
        open_cache(tmp_path / "file")
