from __future__ import annotations

import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from swarmgate.errors import ConfigError
from swarmgate.nouns import NodeId
from swarmgate.swarm.invited import Invited, add, decode, encode, load

SHED = Invited(peer=NodeId("12D3KooWa"), role="worker", until=1.5, name="shed")
NAMELESS = Invited(peer=NodeId("12D3KooWb"), role="viewer", until=2.5)


def test_invites_are_noted_in_order(tmp_path: Path) -> None:
    """For their owner alone; several may have no name, but no two the same."""
    assert load(tmp_path) == ()
    for each in (SHED, NAMELESS, NAMELESS):
        add(tmp_path, each)
    assert load(tmp_path) == (SHED, NAMELESS, NAMELESS)
    assert stat.S_IMODE((tmp_path / "invited").stat().st_mode) == 0o600
    with pytest.raises(ConfigError, match="'shed' was invited already; take another name"):
        add(tmp_path, SHED)
    assert len(load(tmp_path)) == 3


def test_a_damaged_list_says_what_to_do(tmp_path: Path) -> None:
    """Also where it cannot be written, or has grown beyond all use."""
    (tmp_path / "invited").write_text('{"peer": 3}\n')
    with pytest.raises(ConfigError, match=r"invited cannot be read: .*; remove it, and revoke by peer ids"):
        load(tmp_path)
    with pytest.raises(ConfigError, match="cannot be written"):
        add(tmp_path / "none", SHED)
    (tmp_path / "invited").unlink()
    with pytest.raises(ConfigError, match="the list of invites is full"):
        add(tmp_path, Invited(peer=NodeId("x" * (1 << 20)), role="worker", until=1.0))


@given(names=st.lists(st.text(max_size=20), max_size=5))
def test_the_file_is_read_as_it_was_written(names: list[str]) -> None:
    """Line ends in a name are no ends of its line."""
    several = tuple(Invited(peer=NodeId(name), role="node", until=0.5, name=name) for name in names)
    assert decode(encode(several)) == several
