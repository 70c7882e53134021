from __future__ import annotations

import stat
from pathlib import Path

from swarmgate_transport_libp2p.kept import MOST, MOST_ADDRESSES, Kept, file_in, load, save, with_peer


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    """The port and the members come back, and the file is its owner's alone."""
    file = file_in(tmp_path, b"an authority")
    kept = with_peer(Kept(port=4001), "peer", ("/ip4/10.0.0.5/tcp/4001",))
    save(file, kept)
    save(file, kept)
    assert load(file) == kept
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [each.name for each in tmp_path.iterdir()] == [file.name]


def test_each_swarm_has_a_file_of_its_own(tmp_path: Path) -> None:
    """Members of another swarm are no use in this one."""
    assert file_in(tmp_path, b"one") != file_in(tmp_path, b"two")


def test_what_is_damaged_is_nothing(tmp_path: Path) -> None:
    """A file that cannot be read is as good as none: all of it can be found again."""
    file = tmp_path / "kept.json"
    assert load(file) == Kept()
    for text in ("{", '{"port": "many"}', "[]"):
        file.write_text(text)
        assert load(file) == Kept()


def test_who_was_met_last_stays_longest() -> None:
    """There is room for so many; who was not met for longest goes first."""
    kept = Kept()
    for number in range(MOST + 2):
        kept = with_peer(kept, f"peer-{number % (MOST + 1)}", (f"/ip4/10.0.0.5/tcp/{number + 1}",))
    assert len(kept.peers) == MOST
    assert list(kept.peers)[-1] == "peer-0"
    assert "peer-1" not in kept.peers


def test_the_latest_address_comes_first() -> None:
    """A peer's addresses are few, and the one that worked last is tried first."""
    kept = Kept()
    for port in range(1, 2 * MOST_ADDRESSES):
        kept = with_peer(kept, "peer", (f"/ip4/10.0.0.5/tcp/{port}",))
    assert kept.peers["peer"][0] == f"/ip4/10.0.0.5/tcp/{2 * MOST_ADDRESSES - 1}"
    assert len(kept.peers["peer"]) == MOST_ADDRESSES
