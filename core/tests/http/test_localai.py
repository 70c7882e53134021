from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import pytest
from swarmgate.http.app import application
from swarmgate.http.door import Door
from swarmgate.roster import Member, Swarm
from swarmgate.testing import an_offer
from visitor import Visitor

MakeDoor = Callable[..., Door]
pytestmark = pytest.mark.anyio
PATHS = ["/api/p2p", "/api/p2p/workers", "/api/p2p/federation", "/api/p2p/stats"]


async def visit(door: Door, path: str, **headers: str) -> Visitor:
    return await Visitor(path=path, method="GET", headers=headers).visit(application(door))


async def test_each_path_tells_of_the_swarm_now(make_door: MakeDoor) -> None:
    """Asked anew for every request; who is online was seen just now."""
    door = make_door()
    for path in PATHS:
        assert (await visit(door, path)).status == 200
    assert (await visit(door, "/api/p2p/workers")).json["nodes"] == []
    door.swarm = lambda: Swarm(members=(Member(offer=an_offer("shed"), standing="usable", seen_seconds=0.0),))
    [node] = (await visit(door, "/api/p2p/workers")).json["nodes"]
    seen = datetime.fromisoformat(node["lastSeen"])
    assert (node["name"], node["isOnline"]) == ("shed", True)
    assert abs((datetime.now(tz=seen.tzinfo) - seen).total_seconds()) < 3600
    assert (await visit(door, "/api/p2p/stats")).json["llama_cpp_workers"] == {"online": 1, "total": 1}
    assert [each["Name"] for each in (await visit(door, "/api/p2p")).json["llama_cpp_nodes"]] == ["shed"]


@pytest.mark.parametrize("path", PATHS)
async def test_only_who_looks_after_the_gateway_is_told(make_door: MakeDoor, path: str) -> None:
    """With keys a key is asked for; without, a page under another name is refused."""
    assert (await visit(make_door(api_keys=("k",)), path)).status == 401
    assert (await visit(make_door(api_keys=("k",)), path, authorization="Bearer k")).status == 200
    assert (await visit(make_door(), path, host="rebound.example")).status == 401
