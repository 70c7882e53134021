from __future__ import annotations

from collections.abc import Callable

import pytest
from swarmgate.echo import EchoBackend, EchoOptions
from swarmgate.http.app import application
from swarmgate.http.door import Door
from swarmgate.nouns import Health, Node, NodeId
from swarmgate.roster import Member, Placed, Swarm
from swarmgate.split import SplitPlan
from swarmgate.testing import an_offer
from visitor import Visitor

pytestmark = pytest.mark.anyio
MakeDoor = Callable[..., Door]


async def get(door: Door, path: str = "/v1/swarm", method: str = "GET", key: str = "") -> Visitor:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    return await Visitor(path=path, method=method, headers=headers).visit(application(door))


def seen(plan: SplitPlan | None = None) -> Swarm:
    return Swarm(
        node=Node(id=NodeId("n1"), name="home"),
        members=(Member(offer=an_offer("w1"), standing="left_out", reason="is off"),),
        placed=(Placed(backend="b0", model="echo", plan=plan, waiting="" if plan else "nobody lends"),),
        healths={"b0": Health(ready=True)},
    )


async def test_the_swarm_is_told_as_it_is_now(make_door: MakeDoor) -> None:
    """The gateway, its models with their aliases, and its workers; asked anew for every request."""
    door = make_door(EchoBackend(EchoOptions(aliases=("e",))))
    door.swarm = seen
    found = (await get(door)).json
    assert (found["gateway"]["name"], found["gateway"]["version"]) == ("home", "1.2.3")
    assert (found["models"][0]["name"], found["models"][0]["aliases"]) == ("echo", ["e"])
    assert found["models"][0]["waiting"] == "nobody lends"
    assert [(worker["name"], worker["reason"]) for worker in found["workers"]] == [("w1", "is off")]
    door.swarm = lambda: seen(SplitPlan(reason="it fits"))
    assert (await get(door)).json["models"][0]["plan"] == "it fits"


async def test_keys_guard_it(make_door: MakeDoor) -> None:
    """Who has none of the keys learns nothing."""
    door = make_door(EchoBackend(), api_keys=("k",))
    assert (await get(door)).status == 401
    assert (await get(door, key="k")).status == 200


async def test_head_is_answered(make_door: MakeDoor) -> None:
    """HEAD works as for all that is read (the server leaves the body out), and what changes something does not."""
    door = make_door(EchoBackend())
    visitor = await get(door, method="HEAD")
    assert (visitor.status, visitor.answered["content-type"]) == (200, "application/json")
    assert (await get(door, method="POST")).status == 405


async def test_models_say_where_they_lie(make_door: MakeDoor) -> None:
    """/v1/models has placement, plan and places, for all models and for one; of two backends the loaded one's."""
    door = make_door(EchoBackend())
    swarm = seen(SplitPlan(reason="it fits"))
    door.swarm = lambda: Swarm(placed=(*swarm.placed, *seen().placed), healths=swarm.healths)
    for meta in (
        (await get(door, "/v1/models")).json["data"][0]["meta"],
        (await get(door, "/v1/models/echo")).json["meta"],
    ):
        assert (meta["placement"], meta["plan"]) == ("auto", "it fits")
        assert meta["places"] == [{"place": "here", "first_layer": None, "last_layer": None, "output": True}]
