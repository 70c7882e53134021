from __future__ import annotations

import msgspec
import pytest
from dispatching import Scripted, house
from swarmgate.http.app import application
from swarmgate.http.door import Door, Limits
from swarmgate.metrics import Metrics
from visitor import Visitor

pytestmark = pytest.mark.anyio


async def order(door: Door, body: object, **headers: str) -> tuple[int, dict[str, object]]:
    visitor = Visitor("/v1/swarm/drain", body=(msgspec.json.encode(body),), headers=headers)
    await visitor.visit(application(door))
    return visitor.status, msgspec.json.decode(visitor.content)


def a_door(*keys: str) -> Door:
    return Door(house(a=Scripted(), b=Scripted()), Metrics("0"), "0", Limits(api_keys=keys))


async def test_a_node_is_drained_and_taken_back_in() -> None:
    """The answer names the backends that were meant."""
    door = a_door()
    assert await order(door, {"node": "a"}) == (200, {"backends": ["a"], "draining": True})
    assert [node.draining for node in door.dispatcher.nodes()] == [True, False]
    assert await order(door, {"node": "a", "drain": False}) == (200, {"backends": ["a"], "draining": False})
    assert [node.draining for node in door.dispatcher.nodes()] == [False, False]


async def test_an_unknown_node_is_told_which_there_are() -> None:
    """Nothing is drained."""
    status, told = await order(a_door(), {"node": "c"})
    assert status == 404
    assert "no node is called 'c'; there are: a, b" in str(told)


async def test_no_name_is_nobodys() -> None:
    """Backends of this machine have no gateway behind them, and are not meant by its missing name."""
    door = a_door()
    status, told = await order(door, {"node": ""})
    assert (status, "length >= 1" in str(told)) == (400, True)
    assert door.dispatcher.drain("") == ()
    assert not any(node.draining for node in door.dispatcher.nodes())


async def test_strangers_may_not() -> None:
    """With keys a key is asked for."""
    status, _ = await order(a_door("k"), {"node": "a"})
    assert status == 401
    assert (await order(a_door("k"), {"node": "a"}, authorization="Bearer k"))[0] == 200
