from __future__ import annotations

import stat
from pathlib import Path

import pytest
from swarmgate.errors import ConfigError
from swarmgate.identity import establish


def test_a_node_stays_who_it_is(tmp_path: Path) -> None:
    """The id outlives a restart; the name may change; a later run's offers count from higher up."""
    folder = tmp_path / "state" / "swarmgate"
    first, once = establish(folder, "desk")
    second, twice = establish(folder, "renamed")
    assert first.id == second.id
    assert (first.name, second.name) == ("desk", "renamed")
    assert twice.sequence - once.sequence > 1 << 30
    assert establish(tmp_path / "other", "desk")[0].id != first.id


def test_only_the_owner_reads_it(tmp_path: Path) -> None:
    """Folder and file are made for their owner alone, and no scrap is left beside them."""
    folder = tmp_path / "state"
    establish(folder, "desk")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    (file,) = folder.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_what_cannot_be_used_is_named_with_the_remedy(tmp_path: Path) -> None:
    """A folder that is a file, and a file that is no identity, say what to do."""
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"state folder .*file cannot be used: .*; set state_dir"):
        establish(tmp_path / "file", "desk")
    (tmp_path / "node.json").write_text('{"id": 3}')
    with pytest.raises(ConfigError, match=r"node\.json is not a node's identity: .*; remove it"):
        establish(tmp_path, "desk")
