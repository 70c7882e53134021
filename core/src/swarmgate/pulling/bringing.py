"""Files on their way into the models folder: resumed where they were cut off, checked, and only then seen by others.

What has come so far lies in the folder ``.pulling`` of the models folder, under a name that says what it is a part of.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple

from swarmgate.errors import PullError
from swarmgate.sizes import readable

_WAITING_ROOM = ".pulling"
_BLOCK = 1 << 20
_MAGIC = b"GGUF"
_OFFSET_SHOWN = 16
#: What is left free on the disk, in bytes: a full one harms more than a model that is not there.
_SPARE = 64 << 20

#: Writes the rest of a file to the stream, which has so many bytes already.
Fetch = Callable[[BinaryIO, int], None]


class Parcel(NamedTuple):
    """One file to be brought to *target*, a path in the models folder.

    *identity* is the same for the same content, and for nothing else: what is there of it is gone on with.  *size* in
    bytes and *sha256* in hex are None and empty where nobody knows.
    """

    target: str
    identity: str
    size: int | None
    sha256: str
    fetch: Fetch


def check_room(folder: Path, parcels: Iterable[Parcel]) -> None:
    """Refuse *parcels* for which there is no room on the disk of *folder*, as far as their sizes are known.

    Raises:
        PullError: there is none; the message has the numbers.

    """
    needed = sum(max((parcel.size or 0) - _size(_partial(folder, parcel)), 0) for parcel in parcels)
    free = shutil.disk_usage(folder).free
    if needed and needed + _SPARE > free:
        raise PullError(
            f"{readable(needed)} are needed and {readable(free)} are free on the disk of {folder}; make room there, or"
            " set models_dir to a folder on another disk"
        )


def is_there(folder: Path, parcel: Parcel) -> bool:
    """Return whether the content of *parcel* lies at its target already."""
    path = folder / parcel.target
    if not path.is_file() or parcel.size != _size(path):
        return False
    return not parcel.sha256 or digest(path) == parcel.sha256


def bring(folder: Path, parcel: Parcel) -> Path:
    """Fetch *parcel* into *folder*, check it, and put it where it belongs; return its path.

    Raises:
        PullError: it is not what it should be (it is removed), or another process brings it just now.

    """
    path = _partial(folder, parcel)
    path.parent.mkdir(parents=True, exist_ok=True)
    with _alone(path) as stream:
        had = stream.seek(0, os.SEEK_END)
        if parcel.size is None or had < parcel.size:
            parcel.fetch(stream, had)
        stream.flush()
        os.fsync(stream.fileno())
        try:
            _check(path, parcel)
        except PullError:
            path.unlink()
            raise
        target = folder / parcel.target
        target.parent.mkdir(parents=True, exist_ok=True)
        path.replace(target)
    _leave(folder)
    return target


def digest(path: Path) -> str:
    """Return the SHA-256 of the file at *path*, in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _check(path: Path, parcel: Parcel) -> None:
    size = _size(path)
    if parcel.size is not None and size != parcel.size:
        raise PullError(
            f"{parcel.target} has {size} bytes, expected {parcel.size}: what came is removed; pull it again"
        )
    with path.open("rb") as stream:
        begins = stream.read(_OFFSET_SHOWN)
    if not begins.startswith(_MAGIC):
        raise PullError(f"{parcel.target} is no GGUF file, it begins with {begins!r}: what came is removed")
    if parcel.sha256 and (found := digest(path)) != parcel.sha256:
        raise PullError(
            f"{parcel.target} has the SHA-256 {found}, expected {parcel.sha256}: what came is removed; pull it again"
        )


@contextmanager
def _alone(path: Path) -> Generator[BinaryIO]:
    """Hold the file at *path* open for appending, for this process alone."""
    import fcntl  # what else runs on Windows does without

    with path.open("ab") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise PullError(f"another process is bringing the same file; what has come of it is {path}") from None
        yield stream


def _partial(folder: Path, parcel: Parcel) -> Path:
    name = hashlib.sha256(parcel.identity.encode()).hexdigest()[:32]
    return folder / _WAITING_ROOM / f"{name}.part"


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _leave(folder: Path) -> None:
    """Remove the folder of what is on its way if nothing is."""
    room = folder / _WAITING_ROOM
    if room.is_dir() and not any(room.iterdir()):
        room.rmdir()
