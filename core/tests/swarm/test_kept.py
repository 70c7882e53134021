from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from swarmgate.errors import ConfigError
from swarmgate.swarm.kept import keep_pass, kept_pass, make_pass, node_key, write_whole
from swarmgate.swarm.token import Token


def modes(folder: Path) -> dict[str, int]:
    return {file.name: stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()}


def test_the_key_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    """It is 32 bytes by chance, and stays."""
    key = node_key(tmp_path)
    assert len(key) == 32
    assert node_key(tmp_path) == key
    assert modes(tmp_path) == {"node.key": 0o600}
    (tmp_path / "elsewhere").mkdir()
    assert node_key(tmp_path / "elsewhere") != key


def test_two_that_begin_at_once_have_one_key_and_one_token(tmp_path: Path) -> None:
    """Such as a gateway and a worker in one state folder at their first start; no scraps are left."""
    with ThreadPoolExecutor(8) as threads:
        keys = {each.result() for each in [threads.submit(node_key, tmp_path) for _ in range(32)]}
        tokens = {each.result().text for each in [threads.submit(make_pass, tmp_path) for _ in range(32)]}
    assert (len(keys), len(tokens)) == (1, 1)
    assert modes(tmp_path) == {"node.key": 0o600, "swarm.token": 0o600}


def test_a_damaged_key_is_no_new_identity(tmp_path: Path) -> None:
    """The operator decides whether the node gets another id."""
    (tmp_path / "node.key").write_bytes(b"short")
    with pytest.raises(ConfigError, match=r"node\.key is not a node's key: it has 5 bytes, not 32; remove it"):
        node_key(tmp_path)


def test_a_token_is_kept_and_replaced(tmp_path: Path) -> None:
    """In a folder that is made for it; without one there is none."""
    folder = tmp_path / "a" / "b"
    assert kept_pass(folder) is None
    one, two = Token.make(), Token.make()
    assert keep_pass(folder, one) == folder / "swarm.token"
    assert kept_pass(folder) == one == make_pass(folder)
    keep_pass(folder, two)
    assert kept_pass(folder) == two
    assert modes(folder) == {"swarm.token": 0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"sgt_abc", b"sgt_" + b"1" * 100_000])
def test_a_damaged_token_is_named_and_not_quoted(tmp_path: Path, content: bytes) -> None:
    """It is no reason to make a new one: that would be another swarm."""
    (tmp_path / "swarm.token").write_bytes(content)
    for act in (kept_pass, make_pass):
        with pytest.raises(ConfigError, match=r"swarm\.token: ") as caught:
            act(tmp_path)
        assert "abc" not in str(caught.value)
        assert len(str(caught.value)) < 400
    assert (tmp_path / "swarm.token").read_bytes() == content


def test_what_cannot_be_read_or_written_says_so(tmp_path: Path) -> None:
    """A folder in the file's place, and a file in the folder's."""
    (tmp_path / "swarm.token").mkdir()
    with pytest.raises(ConfigError, match=r"swarm\.token cannot be read"):
        kept_pass(tmp_path)
    with pytest.raises(ConfigError, match=r"swarm\.token cannot be written: .*; set state_dir"):
        keep_pass(tmp_path, Token.make())
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="cannot be written"):
        keep_pass(tmp_path / "file", Token.make())


def test_a_crash_leaves_the_old_or_the_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What fails in the middle changes nothing, and cleans up."""
    file = tmp_path / "f"
    write_whole(file, b"old")

    def fail(*_: object) -> None:
        raise OSError(28, "no space left")

    for step in ("os.fsync", "pathlib.Path.replace"):
        with monkeypatch.context() as broken:
            broken.setattr(step, fail)
            with pytest.raises(OSError, match="no space"):
                write_whole(file, b"new")
        assert [each.name for each in tmp_path.iterdir()] == ["f"]
        assert file.read_bytes() == b"old"
    write_whole(file, b"new")
    assert file.read_bytes() == b"new"
