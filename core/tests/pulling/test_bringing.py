from __future__ import annotations

import fcntl
import hashlib
import shutil
from pathlib import Path
from typing import BinaryIO, NamedTuple

import pytest
from swarmgate.errors import PullError
from swarmgate.pulling import bringing
from swarmgate.pulling.bringing import Parcel, bring, check_room, digest, is_there

DATA = b"GGUF" + b"x" * 996
SHA256 = hashlib.sha256(DATA).hexdigest()


class Usage(NamedTuple):
    """What ``shutil.disk_usage`` returns, as far as it is looked at."""

    free: int


class Source:
    """Gives its data, at most *most* bytes of it each time, and writes down from where."""

    def __init__(self, data: bytes = DATA, most: int | None = None) -> None:
        self.data, self.most = data, most
        self.asked: list[int] = []

    def __call__(self, stream: BinaryIO, had: int) -> None:
        self.asked.append(had)
        stream.write(self.data[had : None if self.most is None else had + self.most])
        if self.most is not None:
            raise PullError("cut off")


def parcel(source: Source, *, sha256: str = SHA256, size: int | None = len(DATA), identity: str = "x") -> Parcel:
    return Parcel("org/repo/m.gguf", identity, size, sha256, source)


def test_it_goes_on_where_it_was_cut_off(tmp_path: Path) -> None:
    """Only what is whole and sound is seen, and nothing else is left."""
    source = Source(most=400)
    with pytest.raises(PullError, match="cut off"):
        bring(tmp_path, parcel(source))
    assert not (tmp_path / "org").exists()
    source.most = None
    assert bring(tmp_path, parcel(source)) == tmp_path / "org" / "repo" / "m.gguf"
    assert source.asked == [0, 400]
    assert (tmp_path / "org" / "repo" / "m.gguf").read_bytes() == DATA
    assert [path.name for path in tmp_path.iterdir()] == ["org"]
    assert is_there(tmp_path, parcel(source))
    assert not is_there(tmp_path, parcel(source, sha256="0" * 64))
    assert not is_there(tmp_path, parcel(source, size=5))


def test_other_content_begins_anew(tmp_path: Path) -> None:
    """What lies there of an older version is not taken for its beginning."""
    with pytest.raises(PullError):
        bring(tmp_path, parcel(Source(most=400)))
    source = Source()
    bring(tmp_path, parcel(source, identity="y"))
    assert source.asked == [0]


def test_what_had_come_whole_is_only_checked(tmp_path: Path) -> None:
    """It was stopped between the last byte and the check."""
    source = Source(most=len(DATA))
    with pytest.raises(PullError):
        bring(tmp_path, parcel(source))
    bring(tmp_path, parcel(source))
    assert source.asked == [0]


@pytest.mark.parametrize(
    ("source", "fields", "reason"),
    [
        (Source(), {"sha256": "0" * 64}, f"has the SHA-256 {SHA256}, expected {'0' * 64}: what came is removed"),
        (Source(DATA[:-1]), {}, "has 999 bytes, expected 1000"),
        (Source(b"<html>"), {"size": None, "sha256": ""}, "is no GGUF file, it begins with b'<html>'"),
    ],
)
def test_what_is_unsound_is_removed(tmp_path: Path, source: Source, fields: dict[str, object], reason: str) -> None:
    """And the reason told: the next try begins anew."""
    with pytest.raises(PullError, match=reason):
        bring(tmp_path, parcel(source, **fields))  # type: ignore[arg-type]  # its fields
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_one_process_at_a_time_brings_it(tmp_path: Path) -> None:
    """The second says where the first one writes."""
    with pytest.raises(PullError):
        bring(tmp_path, parcel(Source(most=1)))
    (partial,) = (path for path in tmp_path.rglob("*.part"))
    with partial.open("ab") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        with pytest.raises(PullError, match="another process is bringing the same file"):
            bring(tmp_path, parcel(Source()))
    assert bring(tmp_path, parcel(Source())).exists()


def test_a_full_disk_is_noticed_beforehand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What has come already is not counted again, and unknown sizes not at all."""
    spare = bringing._SPARE
    with pytest.raises(PullError):
        bring(tmp_path, parcel(Source(most=400)))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(spare + 600))
    check_room(tmp_path, [parcel(Source())])
    check_room(tmp_path, [parcel(Source(), size=None, identity="z")])
    with pytest.raises(PullError, match=r"1\.6 KiB are needed and .* are free on the disk of .*set models_dir"):
        check_room(tmp_path, [parcel(Source()), parcel(Source(), identity="y")])


def test_a_digest_is_sha256(tmp_path: Path) -> None:
    """In hex, of all of the file."""
    (tmp_path / "m").write_bytes(DATA)
    assert digest(tmp_path / "m") == SHA256
