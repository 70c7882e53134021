"""Files that are no models, each wrong in one way."""

from __future__ import annotations

import struct
from pathlib import Path

from gguf import GGUFWriter

from tinygguf.llama import write_llama


def write_cut_short(path: Path, *, keep: float = 0.5) -> Path:
    """Write a llama of which only the first part, a fraction *keep*, has arrived."""
    whole = write_llama(path).read_bytes()
    path.write_bytes(whole[: int(len(whole) * keep)])
    return path


def write_not_gguf(path: Path) -> Path:
    """Write a file of plausible length that is something else altogether."""
    path.write_bytes(b"PK\x03\x04" + bytes(range(256)) * 64)
    return path


def write_wrong_version(path: Path, *, version: int = 99) -> Path:
    """Write a llama that claims a GGUF version nobody knows."""
    whole = bytearray(write_llama(path).read_bytes())
    struct.pack_into("<I", whole, 4, version)
    path.write_bytes(whole)
    return path


def write_unknown_architecture(path: Path) -> Path:
    """Write a well-formed GGUF of an architecture nobody knows."""
    writer = GGUFWriter(path, "unheard-of")
    writer.add_block_count(1)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
