"""Reads what a GGUF file says of itself: metadata, tensor table, and whether it is whole.

The format is GGUF version 2 and 3, as ``docs/gguf.md`` of ggml describes it: magic ``GGUF``, u32
version, u64 number of tensors, u64 number of metadata pairs, the pairs, the tensor table, padding
to ``general.alignment``, the tensors' data.  Only the head is read, and long arrays (vocabularies)
are passed over, so that a card can be shown before, and without, loading anything.
"""

from __future__ import annotations

import hashlib
import re
import struct
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import BinaryIO, cast

from swarmgate.api import EngineError

Value = int | float | bool | str
#: What ggml calls each type: (elements in a block, bytes of a block, name), by its number.
TENSOR_TYPES: dict[int, tuple[int, int, str]] = {
    0: (1, 4, "F32"), 1: (1, 2, "F16"), 2: (32, 18, "Q4_0"), 3: (32, 20, "Q4_1"), 6: (32, 22, "Q5_0"),
    7: (32, 24, "Q5_1"), 8: (32, 34, "Q8_0"), 9: (32, 36, "Q8_1"), 10: (256, 84, "Q2_K"), 11: (256, 110, "Q3_K"),
    12: (256, 144, "Q4_K"), 13: (256, 176, "Q5_K"), 14: (256, 210, "Q6_K"), 15: (256, 292, "Q8_K"),
    16: (256, 66, "IQ2_XXS"), 17: (256, 74, "IQ2_XS"), 18: (256, 98, "IQ3_XXS"), 19: (256, 50, "IQ1_S"),
    20: (32, 18, "IQ4_NL"), 21: (256, 110, "IQ3_S"), 22: (256, 82, "IQ2_S"), 23: (256, 136, "IQ4_XS"),
    24: (1, 1, "I8"), 25: (1, 2, "I16"), 26: (1, 4, "I32"), 27: (1, 8, "I64"), 28: (1, 8, "F64"),
    29: (256, 56, "IQ1_M"), 30: (1, 2, "BF16"), 34: (256, 54, "TQ1_0"), 35: (256, 66, "TQ2_0"), 39: (32, 17, "MXFP4"),
}  # fmt: skip
_SCALARS: dict[int, str] = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9
_MOST_ENTRIES = 1 << 20
_LONGEST_STRING = 16 << 20
_PART = re.compile(r"-(\d{5})-of-(\d{5})\.gguf$")


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """One row of the tensor table; *size* is in bytes, 0 where the type is not known here."""

    name: str
    shape: tuple[int, ...]
    type: str
    size: int


@dataclass(frozen=True, slots=True)
class GgufFile:
    """The head of a model, its further parts included.

    *metadata* holds scalars and strings; of an array only its length, under ``<key>.length``.
    """

    path: Path
    metadata: dict[str, Value]
    tensors: tuple[TensorInfo, ...]
    fingerprint: str
    parts: tuple[Path, ...] = field(default=())

    @property
    def architecture(self) -> str:
        """Return the architecture's name, such as ``llama``."""
        return self.text("general.architecture")

    @property
    def weight_bytes(self) -> int:
        """Return the bytes of all tensors."""
        return sum(tensor.size for tensor in self.tensors)

    @property
    def parameters(self) -> int:
        """Return the number of weights."""
        return sum(prod(tensor.shape) for tensor in self.tensors)

    @property
    def quantization(self) -> str:
        """Return the type most of the weights' bytes are in, such as ``Q4_K``."""
        sizes: dict[str, int] = {}
        for tensor in self.tensors:
            sizes[tensor.type] = sizes.get(tensor.type, 0) + tensor.size
        return max(sizes, key=lambda name: sizes[name], default="")

    def text(self, key: str) -> str:
        """Return the string under *key*, or nothing."""
        value = self.metadata.get(key, "")
        return value if isinstance(value, str) else ""

    def number(self, key: str) -> int:
        """Return the whole number under *key*, 0 if there is none; ``{arch}`` is filled in."""
        value = self.metadata.get(key.replace("{arch}", self.architecture), 0)
        return value if isinstance(value, int) else 0


def read_gguf(path: Path) -> GgufFile:
    """Read the head of *path*, and of the parts that belong to it.

    Raises:
        EngineError: the file is missing, not GGUF, of an unknown version, or cut short.

    """
    first = _read_one(path)
    count = first.number("split.count")
    named = _PART.search(path.name)
    if count <= 1 or named is None:
        return first
    paths = tuple(path.with_name(_PART.sub(f"-{n:05d}-of-{count:05d}.gguf", path.name)) for n in range(1, count + 1))
    parts = [_read_one(part) for part in paths]
    digest = hashlib.sha256("".join(part.fingerprint for part in parts).encode()).hexdigest()
    tensors = tuple(tensor for part in parts for tensor in part.tensors)
    return GgufFile(path, parts[0].metadata, tensors, digest, paths)


def _read_one(path: Path) -> GgufFile:
    try:
        with path.open("rb") as file:
            return _Reader(path, file, path.stat().st_size).read()
    except FileNotFoundError:
        remedy = "give the path of a GGUF file, or the name of one in the models folder (`gateway models list`)"
        raise EngineError(f"there is no model file {str(path)!r}; {remedy}") from None
    except IsADirectoryError:
        raise EngineError(f"{str(path)!r} is a directory; give the path of a GGUF file") from None
    except OSError as error:
        raise EngineError(f"the model file {str(path)!r} cannot be read: {error.strerror}") from None


class _Reader:
    def __init__(self, path: Path, file: BinaryIO, size: int) -> None:
        self._path, self._file, self._size = path, file, size
        self._digest = hashlib.sha256()

    def read(self) -> GgufFile:
        magic = self._file.read(4)
        if magic != b"GGUF":
            raise EngineError(f"{str(self._path)!r} is not a GGUF file: it begins with {magic!r}, expected b'GGUF'")
        version = self._scalar("I")
        if version not in (2, 3):
            raise EngineError(f"{str(self._path)!r} is GGUF version {version}, expected 2 or 3; convert it anew")
        tensor_count, pair_count = self._count(), self._count()
        metadata: dict[str, Value] = {}
        for _ in range(pair_count):
            self._pair(metadata)
        alignment = metadata.get("general.alignment", 32)
        rows = [self._tensor() for _ in range(tensor_count)]
        self._check_whole(rows, alignment if isinstance(alignment, int) and alignment > 0 else 32)
        return GgufFile(self._path, metadata, tuple(row for row, _ in rows), self._digest.hexdigest())

    def _take(self, count: int) -> bytes:
        data = self._file.read(count)
        if len(data) < count:
            raise self._cut_short(self._file.tell() + count - len(data))
        self._digest.update(data)
        return data

    def _cut_short(self, needed: int) -> EngineError:
        return EngineError(
            f"{str(self._path)!r} is cut short: it has {self._size} bytes, needs at least {needed}; fetch it again"
        )

    def _scalar(self, code: str) -> int:
        return cast("int", struct.unpack(f"<{code}", self._take(struct.calcsize(code)))[0])

    def _count(self) -> int:
        count = self._scalar("Q")
        if count > _MOST_ENTRIES:
            raise EngineError(f"{str(self._path)!r} is not a sound GGUF file: it announces {count} entries")
        return count

    def _string(self) -> str:
        length = self._scalar("Q")
        if length > _LONGEST_STRING:
            raise EngineError(f"{str(self._path)!r} is not a sound GGUF file: it announces a string of {length} bytes")
        return self._take(length).decode(errors="replace")

    def _pair(self, metadata: dict[str, Value]) -> None:
        key, kind = self._string(), self._scalar("I")
        if kind == _ARRAY:
            metadata[f"{key}.length"] = self._pass_array()
        elif kind == _STRING:
            metadata[key] = self._string()
        else:
            metadata[key] = self._scalar(self._code(kind))

    def _code(self, kind: int) -> str:
        if kind not in _SCALARS:
            raise EngineError(f"{str(self._path)!r} is not a sound GGUF file: metadata of unknown type {kind}")
        return _SCALARS[kind]

    def _pass_array(self) -> int:
        kind, length = self._scalar("I"), self._scalar("Q")
        if kind == _STRING:
            for _ in range(length):
                self._string()
        elif kind == _ARRAY:
            for _ in range(length):
                self._pass_array()
        else:
            size = length * struct.calcsize(self._code(kind))
            if size > self._size:
                raise self._cut_short(self._file.tell() + size)
            self._take(size)
        return length

    def _tensor(self) -> tuple[TensorInfo, int]:
        name, dimensions = self._string(), self._scalar("I")
        shape = tuple(self._scalar("Q") for _ in range(min(dimensions, 8)))
        kind, offset = self._scalar("I"), self._scalar("Q")
        per_block, block_bytes, type_name = TENSOR_TYPES.get(kind, (1, 0, f"type {kind}"))
        return TensorInfo(name, shape, type_name, prod(shape) // per_block * block_bytes), offset

    def _check_whole(self, rows: list[tuple[TensorInfo, int]], alignment: int) -> None:
        head = self._file.tell()
        start = head + (-head % alignment)
        needed = start + max((offset + row.size for row, offset in rows), default=0)
        if rows and self._size < needed:
            raise self._cut_short(needed)
