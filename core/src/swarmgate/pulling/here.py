"""Files of this machine taken into the models folder: linked if they are on the same disk, else copied and compared."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import BinaryIO

from swarmgate.errors import PullError
from swarmgate.modelfiles import ENDING, Part, part_of
from swarmgate.pulling.bringing import Parcel, digest


def parts_at(path: Path) -> tuple[Path, ...]:
    """Return all files of the model whose file, or any of whose parts, is at *path*.

    Raises:
        PullError: one is not there, or it is no GGUF file.

    """
    path = path.expanduser()
    if not path.name.endswith(ENDING):
        raise PullError(f"{path} is no GGUF file: its name would end in {ENDING}")
    part: Part | None = part_of(path.name)
    files = [path] if part is None else [path.with_name(part.named(number + 1)) for number in range(part.total)]
    for file in files:
        if not file.is_file():
            raise PullError(f"there is no file {file}")
        with file.open("rb") as stream:
            if (begins := stream.read(4)) != b"GGUF":
                raise PullError(f"{file} is no GGUF file, it begins with {begins!r}")
    return tuple(files)


def link(source: Path, target: Path) -> bool:
    """Give the file at *source* a second name, *target*, and return whether that could be done."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists() and target.samefile(source):
        return True
    beside = target.with_name(f".{target.name}.link")
    beside.unlink(missing_ok=True)
    try:
        beside.hardlink_to(source.resolve())
    except OSError:  # another disk, or one that knows no links
        return False
    beside.replace(target)
    return True


def copied(source: Path) -> Parcel:
    """Return what copies the file at *source*; its hash is that of what is read of it beforehand."""
    facts = source.stat()

    def fetch(stream: BinaryIO, had: int) -> None:
        with source.open("rb") as read:
            read.seek(had)
            shutil.copyfileobj(read, stream, 1 << 20)

    identity = f"file:{source.resolve()}:{facts.st_size}:{facts.st_mtime_ns}"
    return Parcel(source.name, identity, facts.st_size, digest(source), fetch)
