"""What lies in the models folder: the GGUF files that can be loaded, and which of them a name means.

Format: a model in several parts has names that end in ``-00001-of-00003.gguf``, llama.cpp's own.  What
:func:`gather` and :func:`find` do is pure; :func:`scan` looks into the folder.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from swarmgate.errors import RequestError
from swarmgate.nouns import Word

ENDING = ".gguf"
#: What goes with a model that sees or hears, and is none by itself.
_PROJECTOR = "mmproj"
_PART = re.compile(r"(?P<stem>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})\.gguf")
#: Types of weights as files are named for them, such as ``Q4_K_M``, ``IQ2_XS`` or ``BF16``.
_QUANTIZATION = re.compile(
    r"(?<![A-Za-z0-9])(I?Q\d(?:_[A-Z0-9]+)*|T?Q\d_0|BF16|F16|F32|MXFP4(?:_MOE)?)(?![A-Za-z0-9])", re.IGNORECASE
)
#: A folder deeper than this, or with more in it, is hardly one of models.
_DEEPEST, _MOST_ENTRIES = 8, 100_000


class Found(NamedTuple):
    """A file in the folder: its path from there with slashes, its size in bytes, and when it was last changed."""

    path: str
    size: int
    modified: int


class ModelFile(Word, frozen=True):
    """A model in the folder.

    *name* is the path of its file, or of the first of its *parts*, from the folder on, with slashes.  *size* is that
    of all parts in bytes, *modified* when one of them was last changed, in seconds since 1970.  *missing* are parts
    that are not there: it cannot be loaded so.
    """

    name: str
    parts: tuple[str, ...]
    size: int
    modified: int = 0
    missing: int = 0

    @property
    def plain(self) -> str:
        """Return what it is called without its folders, its ending and the number of its part."""
        return plain_name(self.name)

    @property
    def quantization(self) -> str:
        """Return the type of its weights as far as its name tells, else nothing."""
        found = _QUANTIZATION.findall(self.plain)
        return found[-1].upper() if found else ""


class Part(NamedTuple):
    """One of several parts of a model; numbers begin at one."""

    stem: str
    number: int
    total: int

    def named(self, number: int) -> str:
        """Return the file name of part *number*."""
        return f"{self.stem}-{number:05d}-of-{self.total:05d}{ENDING}"


def part_of(path: str) -> Part | None:
    """Return which part of a model *path* is, None if it is a whole one."""
    match = _PART.fullmatch(path)
    return Part(match["stem"], int(match["number"]), int(match["count"])) if match else None


def plain_name(path: str) -> str:
    """Return what the model in the file at *path* is called, if nobody gave it a name."""
    name = path.rpartition("/")[2]
    part = part_of(name)
    return part.stem if part else name.removesuffix(ENDING)


def gather(found: Iterable[Found]) -> tuple[ModelFile, ...]:
    """Return the models that the files *found* are, sorted by name."""
    whole: list[ModelFile] = []
    split: dict[tuple[str, int], list[tuple[int, Found]]] = {}
    for file in found:
        name = file.path.rpartition("/")[2]
        if not name.endswith(ENDING) or name.startswith(_PROJECTOR):
            continue
        part = part_of(file.path)
        if part is None:
            whole.append(ModelFile(name=file.path, parts=(file.path,), size=file.size, modified=file.modified))
        elif 1 <= part.number <= part.total:
            split.setdefault((part.stem, part.total), []).append((part.number, file))
    for (stem, total), parts in split.items():
        files = [file for _, file in sorted(parts)]
        whole.append(
            ModelFile(
                name=Part(stem, 1, total).named(1),
                parts=tuple(file.path for file in files),
                size=sum(file.size for file in files),
                modified=max(file.modified for file in files),
                missing=total - len(files),
            )
        )
    return tuple(sorted(whole, key=lambda model: model.name))


def find(files: Iterable[ModelFile], name: str) -> ModelFile | None:
    """Return which of *files* is meant by *name*: its path, or the last part of it; with or without its ending.

    Only what is there can be meant, so that no name leads out of the folder.

    Raises:
        RequestError: it may mean several.

    """
    files = tuple(files)
    paths = [file for file in files if name in {file.name, file.name.removesuffix(ENDING)}]
    last = [file for file in files if name in {file.name.rpartition("/")[2], file.plain, f"{file.plain}{ENDING}"}]
    for meant in (paths, last):
        if len(meant) == 1:
            return meant[0]
        if meant:
            names = ", ".join(file.name for file in meant)
            raise RequestError(f"{name!r} may mean several files of the models folder: {names}", param="model")
    return None


def scan(folder: Path) -> tuple[ModelFile, ...]:
    """Return the models in *folder* and the folders below it; none if it does not exist.

    Files behind links count, folders behind links do not.  What begins with a dot is passed over.
    """
    return gather(_files(folder))


def locate(given: str, folder: Path | None) -> Path:
    """Return the file that a configuration means by *given*: that path, or if nothing is there a file in *folder*.

    Of a path that leads nowhere the last part is looked for too: in files relative paths were made whole.  What is not
    found is returned as it is.

    Raises:
        RequestError: several files are meant.

    """
    path = Path(given).expanduser()
    if folder is None or path.exists():
        return path
    files = scan(folder)
    found = find(files, given) or find(files, path.name)
    return path if found is None else folder / found.name


def _files(folder: Path) -> Iterator[Found]:
    seen = 0
    for here, folders, names in os.walk(folder):
        below = Path(here).relative_to(folder)
        folders[:] = sorted(name for name in folders if not name.startswith(".")) * (len(below.parts) < _DEEPEST)
        for name in names:
            seen += 1
            if seen > _MOST_ENTRIES:
                return
            if not name.endswith(ENDING) or name.startswith("."):
                continue
            path = Path(here, name)
            try:
                facts = path.stat()
            except OSError:  # a link that leads nowhere, or gone meanwhile
                continue
            if path.is_file():
                yield Found((below / name).as_posix(), facts.st_size, int(facts.st_mtime))
