from __future__ import annotations

import base64
from collections.abc import Callable
from functools import partial
from pathlib import Path

import msgspec
import pytest
from swarmgate.http.app import application
from swarmgate.http.door import Door
from swarmgate.swarm.revoked import keep_revocation, revoke
from swarmgate.testing import a_swarm
from visitor import Visitor

MakeDoor = Callable[..., Door]
pytestmark = pytest.mark.anyio


async def order(door: Door, entry: object, **headers: str) -> tuple[int, str]:
    body = msgspec.json.encode({"entry": base64.b64encode(entry).decode() if isinstance(entry, bytes) else entry})
    visitor = await Visitor("/v1/swarm/revoke", body=(body,), headers=headers).visit(application(door))
    return visitor.status, visitor.content.decode()


async def test_a_revocation_counts_at_once_and_is_kept(make_door: MakeDoor, tmp_path: Path) -> None:
    """The answer says who is out."""
    owner, worker = a_swarm("owner", "worker")
    door = make_door()
    door.revoke = partial(keep_revocation, tmp_path, owner)
    assert await order(door, revoke(owner, worker.id)) == (200, f'{{"revoked":"{worker.id}"}}')
    assert worker.id in owner.revocations
    assert (tmp_path / "revocations").exists()


async def test_what_an_owner_did_not_sign_is_refused(make_door: MakeDoor, tmp_path: Path) -> None:
    """Even from whoever may look after the gateway: it only carries the word of the swarm's owners."""
    owner, worker = a_swarm("owner", "worker")
    (foreigner,) = a_swarm("owner")
    door = make_door()
    door.revoke = partial(keep_revocation, tmp_path, owner)
    for entry, reason in (
        (revoke(foreigner, worker.id), "not of this swarm's authority"),
        (b"nonsense", "an entry cannot be read"),
        ("?", "entry"),
        (3, "entry"),
    ):
        status, told = await order(door, entry)
        assert (status, reason in told) == (400, True), told
    assert not owner.revocations.peers


async def test_strangers_may_not(make_door: MakeDoor, tmp_path: Path) -> None:
    """With keys a key is asked for; outside of a swarm there is nobody to revoke."""
    owner, worker = a_swarm("owner", "worker")
    door = make_door(api_keys=("k",))
    door.revoke = partial(keep_revocation, tmp_path, owner)
    entry = revoke(owner, worker.id)
    assert (await order(door, entry))[0] == 401
    assert (await order(make_door(), entry, host="rebound.example"))[0] == 401
    status, told = await order(make_door(), entry)
    assert (status, "is in no swarm" in told) == (404, True)
    assert (await order(door, entry, authorization="Bearer k"))[0] == 200
