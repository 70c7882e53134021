from __future__ import annotations

import stat
import time
from pathlib import Path

import pytest
from swarmgate.errors import ConfigError
from swarmgate.identity import establish
from swarmgate.swarm.keys import public_key
from swarmgate.swarm.membership import invite
from swarmgate.swarm.peerids import peer_id
from swarmgate.swarm.revoked import add, revoke
from swarmgate.swarm.token import Token


def test_a_node_stays_who_it_is(tmp_path: Path) -> None:
    """The id outlives a restart; the name may change; a later run's offers count from higher up."""
    folder = tmp_path / "state" / "swarmgate"
    first, once = establish(folder, "desk")
    second, twice = establish(folder, "renamed")
    assert first.id == second.id
    assert (first.name, second.name) == ("desk", "renamed")
    assert twice.sequence - once.sequence > 1 << 30
    assert establish(tmp_path / "other", "desk")[0].id != first.id
    assert first.id == peer_id(public_key((folder / "node.key").read_bytes()))


def test_starts_count_on_from_an_id_by_chance(tmp_path: Path) -> None:
    """What earlier versions wrote gives way to the peer id, and its offers stay below those of this run."""
    (tmp_path / "node.json").write_text('{"id": "0123456789abcdef", "starts": 7}')
    node, identity = establish(tmp_path, "desk")
    assert node.id.startswith("12D3KooW")
    assert (identity.id, identity.starts) == (node.id, 8)


def test_a_token_makes_an_owner_of_the_node_itself(tmp_path: Path) -> None:
    """Its membership is by the node's own key; without a token there is none."""
    node, identity = establish(tmp_path, "desk")
    assert identity.membership is None
    again, joined = establish(tmp_path, "desk", ticket=Token.make())
    assert again.id == node.id
    assert joined.membership is not None
    assert (joined.membership.id, joined.membership.role) == (node.id, "owner")


def test_an_invite_brings_a_key_of_its_own(tmp_path: Path) -> None:
    """The node's id is the invite's, the starts count on, and the node's own key stays for later."""
    own, _ = establish(tmp_path, "desk")
    ticket = invite(Token.make(), "worker", days=1, key=bytes(32), now=time.time())
    node, identity = establish(tmp_path, "desk", ticket=ticket)
    assert (node.id, identity.starts) == (peer_id(public_key(bytes(32))), 2)
    assert identity.membership is not None
    assert identity.membership.role == "worker"
    assert establish(tmp_path, "desk")[0].id == own.id


def test_who_is_revoked_does_not_start(tmp_path: Path) -> None:
    """The revocations kept here are known from the start; the node's own ends it with the remedy."""
    token = Token.make()
    _, owner = establish(tmp_path / "owner", "desk", ticket=token)
    assert owner.membership is not None
    ticket = invite(token, "worker", days=1, key=bytes(32), now=time.time())
    node, _ = establish(tmp_path / "shed", "shed", ticket=ticket)
    entry = revoke(owner.membership, node.id)
    add(tmp_path / "owner", owner.membership, entry)
    _, again = establish(tmp_path / "owner", "desk", ticket=token)
    assert again.membership is not None
    assert node.id in again.membership.revocations
    (tmp_path / "shed" / "revocations").write_bytes((tmp_path / "owner" / "revocations").read_bytes())
    with pytest.raises(ConfigError, match=r"is revoked in its swarm; .*gateway token invite"):
        establish(tmp_path / "shed", "shed", ticket=ticket)


def test_only_the_owner_reads_it(tmp_path: Path) -> None:
    """Folder and file are made for their owner alone, and no scrap is left beside them."""
    folder = tmp_path / "state"
    establish(folder, "desk")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    files = sorted(folder.iterdir())
    assert [file.name for file in files] == ["node.json", "node.key"]
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_what_cannot_be_used_is_named_with_the_remedy(tmp_path: Path) -> None:
    """A folder that is a file, and a file that is no identity, say what to do."""
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"state folder .*file cannot be used: .*; set state_dir"):
        establish(tmp_path / "file", "desk")
    (tmp_path / "node.json").write_text('{"id": 3}')
    with pytest.raises(ConfigError, match=r"node\.json is not a node's identity: .*; remove it"):
        establish(tmp_path, "desk")
