from __future__ import annotations

import stat
from pathlib import Path

import anyio
import anyio.to_thread
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from swarmgate.errors import ConfigError, WireError
from swarmgate.nouns import NodeId
from swarmgate.swarm import revoked
from swarmgate.swarm.certificates import LARGEST as LARGEST_CERTIFICATE
from swarmgate.swarm.entries import Entry, sign_entry
from swarmgate.swarm.membership import Membership, join
from swarmgate.swarm.revoked import add, decode, encode, keep_revocation, load, revoke, revoked_by
from swarmgate.swarm.token import Token
from swarmgate.testing import a_swarm, an_offer

TOKEN = Token(bytes([7]) * 32)


def member(number: int, token: Token = TOKEN) -> Membership:
    """Return a membership that knows nothing of what others have revoked, as after a start."""
    return join(token, bytes([number]) * 32)


def test_what_was_revoked_is_after_a_restart(tmp_path: Path) -> None:
    """The signed entries are kept, in order, for their owner alone, and are there to be passed on."""
    owner, others = member(1), [member(number) for number in (2, 3)]
    entries = [revoke(owner, each.id) for each in others]
    for entry, other in zip(entries, others, strict=True):
        assert add(tmp_path, owner, entry) == other.id
        assert other.id in owner.revocations
    assert stat.S_IMODE((tmp_path / "revocations").stat().st_mode) == 0o600
    again = member(1)
    assert load(tmp_path, again) == entries
    assert again.revocations.peers == {each.id for each in others}
    assert again.revocations.entries == tuple(entries)


def test_one_peer_is_kept_once(tmp_path: Path) -> None:
    """However many owners revoke it."""
    one, two, out = member(1), member(2), member(3)
    first = revoke(one, out.id)
    for _ in range(2):
        add(tmp_path, one, first)
        add(tmp_path, one, revoke(two, out.id))
    assert load(tmp_path, member(1)) == [first]


@pytest.mark.anyio
async def test_a_loop_is_not_kept_waiting(tmp_path: Path) -> None:
    """From within one the disk is another thread's; it counts before it is kept, and is told of once."""
    owner, out = member(1), member(2)
    told: list[NodeId] = []
    owner.revocations.listen(told.append)
    entry = revoke(owner, out.id)
    async with anyio.create_task_group() as tasks:
        for _ in range(4):
            tasks.start_soon(keep_revocation, tmp_path, owner, entry)
        tasks.start_soon(keep_revocation, tmp_path, owner, revoke(owner, member(3).id))
    assert sorted(told) == sorted([out.id, member(3).id])
    kept = await anyio.to_thread.run_sync(load, tmp_path, member(1))
    assert len(kept) == 2
    assert entry in kept


def test_writers_of_several_processes_lose_nothing(tmp_path: Path) -> None:
    """Each waits for the other; here threads stand for them, with memberships of their own."""
    from concurrent.futures import ThreadPoolExecutor

    owner = member(1)
    entries = [revoke(owner, member(number).id) for number in range(2, 22)]
    with ThreadPoolExecutor(8) as threads:
        for done in [threads.submit(add, tmp_path, member(1), entry) for entry in entries]:
            done.result()
    assert set(load(tmp_path, member(1))) == set(entries)


def test_who_revoked_others_may_be_revoked_later(tmp_path: Path) -> None:
    """What it had said until then stands, or else those it revoked would come back."""
    one, two, out = member(1), member(2), member(3)
    add(tmp_path, one, revoke(two, out.id))
    add(tmp_path, one, revoke(one, two.id))
    again = member(1)
    load(tmp_path, again)
    assert again.revocations.peers == {two.id, out.id}


def test_another_swarms_do_not_count(tmp_path: Path) -> None:
    """Such as those from before the token was made anew: nothing is lost, nobody is kept out by them."""
    old = member(1, Token(bytes([8]) * 32))
    add(tmp_path, old, revoke(old, member(2).id))
    owner = member(1)
    assert load(tmp_path, owner) == []
    assert not owner.revocations.peers
    add(tmp_path, owner, entry := revoke(owner, member(3).id))
    assert load(tmp_path, member(1)) == [entry]
    assert len(decode((tmp_path / "revocations").read_bytes())) == 2


def test_only_revocations_by_owners_are_kept(tmp_path: Path) -> None:
    """Nothing is written of anything else, and nobody is revoked by it."""
    owner, worker = a_swarm("owner", "worker")
    with pytest.raises(WireError, match="may revoke nobody"):
        revoke(worker, owner.id)
    offer = sign_entry(worker, Entry(kind="offer", offer=an_offer(node=worker.id, lifetime=9.0)))
    nonsense = sign_entry(owner, Entry(kind="revoke", revoked=NodeId("nobody")))
    for data, reason in (
        (offer, "found an entry of the kind offer"),
        (nonsense, "is no peer id"),
        (b"x", "cannot be read"),
    ):
        with pytest.raises(WireError, match=reason):
            add(tmp_path, owner, data)
        with pytest.raises(WireError, match=reason):
            revoked_by(owner, data)
    assert not owner.revocations.peers
    assert not list(tmp_path.iterdir())


def test_a_file_that_cannot_be_read_lets_nobody_back_in(tmp_path: Path) -> None:
    """The start ends instead, with the remedy."""
    file = tmp_path / "revocations"
    for content in (b"\xc1", msgspec.msgpack.encode([2, []]), b""):
        file.write_bytes(content)
        with pytest.raises(ConfigError, match=r"revocations cannot be read: .*; bring it back from a copy, or"):
            load(tmp_path, member(1))
    file.unlink()
    file.mkdir()
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path, member(1))


def test_what_cannot_be_kept_counts_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk, or a full list, is told; until the next start the peer is out."""
    owner, out = member(1), member(2)
    with pytest.raises(ConfigError, match="cannot be written"):
        add(tmp_path / "none", owner, revoke(owner, out.id))
    assert out.id in owner.revocations
    monkeypatch.setattr(revoked, "MOST", 0)
    with pytest.raises(WireError, match="make a new token with `gateway token rotate`"):
        add(tmp_path, owner, revoke(owner, member(3).id))
    assert member(3).id in owner.revocations


@given(entries=st.lists(st.binary(max_size=50), max_size=9).map(tuple))
def test_the_file_is_read_as_it_was_written(entries: tuple[bytes, ...]) -> None:
    """Whatever is in it."""
    assert decode(encode(entries)) == entries


@given(
    content=st.binary(max_size=200)
    | st.lists(st.integers() | st.binary(max_size=9), max_size=4).map(
        lambda items: msgspec.msgpack.encode([item for item in items if not isinstance(item, int) or abs(item) < 2**62])
    )
)
def test_garbage_is_refused(content: bytes) -> None:
    """With one error, or it is a list."""
    try:
        entries = decode(content)
    except WireError:
        return
    assert decode(encode(entries)) == entries


def test_a_file_without_end_is_not_read() -> None:
    """No more than could honestly be in it."""
    with pytest.raises(WireError, match="take more than"):
        decode(bytes(40 << 20))
    assert LARGEST_CERTIFICATE < 8192
