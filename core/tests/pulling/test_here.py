from __future__ import annotations

from pathlib import Path

import pytest
from swarmgate.errors import PullError
from swarmgate.pulling.bringing import bring
from swarmgate.pulling.here import copied, link, parts_at


def put(folder: Path, *names: str, data: bytes = b"GGUF and more") -> None:
    for name in names:
        (folder / name).write_bytes(data)


def test_all_parts_are_found(tmp_path: Path) -> None:
    """From any of them; a whole file is its only part."""
    put(tmp_path, "m.gguf", "b-00001-of-00002.gguf", "b-00002-of-00002.gguf")
    assert parts_at(tmp_path / "m.gguf") == (tmp_path / "m.gguf",)
    both = (tmp_path / "b-00001-of-00002.gguf", tmp_path / "b-00002-of-00002.gguf")
    assert parts_at(both[1]) == both


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    """By its name, by its content, or because a part is not there."""
    put(tmp_path, "b-00001-of-00002.gguf", "m.bin")
    put(tmp_path, "page.gguf", data=b"<html>")
    for name, reason in {
        "b-00001-of-00002.gguf": "there is no file .*b-00002-of-00002.gguf",
        "m.bin": "its name would end in .gguf",
        "page.gguf": "is no GGUF file, it begins with b'<htm'",
        "none.gguf": "there is no file .*none.gguf",
    }.items():
        with pytest.raises(PullError, match=reason):
            parts_at(tmp_path / name)


def test_a_file_gets_a_second_name(tmp_path: Path) -> None:
    """In the place of what had it; twice is once."""
    put(tmp_path, "m.gguf")
    target = tmp_path / "models" / "m.gguf"
    target.parent.mkdir()
    target.write_bytes(b"old")
    assert link(tmp_path / "m.gguf", target)
    assert link(tmp_path / "m.gguf", target)
    assert target.samefile(tmp_path / "m.gguf")
    assert [path.name for path in target.parent.iterdir()] == ["m.gguf"]


def test_where_there_are_no_links_it_is_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And what had its name stays until the copy is whole and the same."""

    def no_links(self: Path, target: Path) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(Path, "hardlink_to", no_links)
    put(tmp_path, "m.gguf")
    target = tmp_path / "models" / "m.gguf"
    target.parent.mkdir()
    target.write_bytes(b"old")
    assert not link(tmp_path / "m.gguf", target)
    assert target.read_bytes() == b"old"
    assert bring(target.parent, copied(tmp_path / "m.gguf")) == target
    assert target.read_bytes() == b"GGUF and more"
    assert not target.samefile(tmp_path / "m.gguf")
