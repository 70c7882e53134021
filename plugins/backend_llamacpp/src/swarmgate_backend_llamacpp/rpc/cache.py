"""The folder in which llama.cpp's RPC server keeps the tensors it was sent."""

from __future__ import annotations

from pathlib import Path

from swarmgate.api import EngineError


def open_cache(folder: Path) -> None:
    """Make *folder* if need be, and remove the newest tensor in it.

    The server may have been killed while it wrote that one; it would not notice, and compute with
    half of it.  Tensors are written one after the other, so no other can be incomplete.

    Raises:
        EngineError: the folder cannot be used.

    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        files = sorted((file for file in folder.iterdir() if file.is_file()), key=lambda file: file.stat().st_mtime_ns)
        for file in files[-1:]:
            file.unlink(missing_ok=True)
    except OSError as error:
        raise EngineError(
            f"the tensor cache {folder} cannot be used: {error}; set cache_dir, or tensor_cache = false"
        ) from None
