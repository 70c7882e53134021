from __future__ import annotations

from typing import Any

import msgspec
from swarmgate.chat import ModelCard
from swarmgate.http.wire.swarm import SwarmDocument, place_documents, swarm_document, swarm_json
from swarmgate.nouns import Endpoint, Health, Node, NodeId
from swarmgate.roster import Answering, Member, Placed, Swarm
from swarmgate.split import Portion, Share, SplitPlan
from swarmgate.testing import a_worker

WORKER = a_worker("w1", memory_bytes=4096, endpoint=Endpoint("10.0.0.5", 50052))
PORTIONS = (
    Portion(first=0, end=20, weights=100, cache=10, compute=1, share=0.6),
    Portion(worker=WORKER, first=20, end=32, output=True, weights=70, cache=7, compute=1, share=0.4),
)
SPLIT = SplitPlan(
    shares=(Share(worker=None, fraction=0.6), Share(worker=WORKER, fraction=0.4)), reason="why", portions=PORTIONS
)
CARD = ModelCard(name="m", aliases=("mm",))


def told(*placed: Placed, health: Health | None = None, members: tuple[Member, ...] = ()) -> Any:
    swarm = Swarm(
        node=Node(id=NodeId("n1"), name="home"),
        seconds=12.34,
        members=members,
        placed=placed,
        healths={"b": health or Health(ready=True)},
    )
    return msgspec.json.decode(swarm_json(swarm, [CARD], "1.2.3"))


def test_a_split_model_is_told_place_by_place() -> None:
    """Layers count from zero with both ends in, sizes are numbers of bytes, and the worker's memory is as planned."""
    found = told(Placed(backend="b", model="m", placement="split", plan=SPLIT, state="loaded"))
    us = {"name": "home", "id": "n1", "version": "1.2.3", "uptime_seconds": 12.3, "federated": False}
    assert found["gateway"] == us
    (model,) = found["models"]
    places = model.pop("places")
    assert model == {
        "name": "m",
        "backend": "b",
        "placement": "split",
        "plan": "why",
        "ready": True,
        "state": "loaded",
        "aliases": ["mm"],
    }
    assert places[0] == {
        "place": "here",
        "first_layer": 0,
        "last_layer": 19,
        "output": False,
        "share": 0.6,
        "weight_bytes": 100,
        "cache_bytes": 10,
        "compute_bytes": 1,
        "total_bytes": 111,
    }
    assert places[1] == {
        "place": "w1",
        "node": "node-w1",
        "address": "10.0.0.5:50052",
        "first_layer": 20,
        "last_layer": 31,
        "output": True,
        "share": 0.4,
        "weight_bytes": 70,
        "cache_bytes": 7,
        "compute_bytes": 1,
        "total_bytes": 78,
        "memory_bytes": 4096,
    }


def test_a_place_without_layers_has_null_for_them() -> None:
    """Whoever holds but the input or the output has neither a first nor a last layer."""
    plan = SplitPlan(shares=SPLIT.shares, portions=(Portion(weights=5), Portion(worker=WORKER, end=0, output=True)))
    here, there = place_documents(plan, here=99)
    assert (here.first_layer, here.last_layer, here.output, here.memory_bytes) == (None, None, False, 99)
    assert (there.first_layer, there.last_layer, there.output) == (None, None, True)
    assert there.total_bytes is msgspec.UNSET  # nobody knows


def test_a_plan_without_portions_tells_shares() -> None:
    """Where the splitter knows no sizes, the fractions are all there is; no shares are all of it here."""
    places = place_documents(SplitPlan(shares=SPLIT.shares[::-1]))
    assert [(place.place, place.share, place.output) for place in places] == [
        ("here", 0.6, msgspec.UNSET),
        ("w1", 0.4, msgspec.UNSET),
    ]
    (whole,) = place_documents(SplitPlan())
    assert (whole.place, whole.share, whole.output) == ("here", 1.0, True)


def test_what_waits_says_for_what() -> None:
    """Without a plan there are no places; the reason is what is missing, not that nothing is loaded."""
    waits = Placed(backend="b", model="m", waiting="m needs 9 GiB")
    (model,) = told(waits, health=Health(ready=False, reason="not loaded yet"))["models"]
    assert (model["places"], model["waiting"], model["reason"]) == ([], "m needs 9 GiB", "m needs 9 GiB")
    assert "plan" not in model


def test_what_is_being_loaded_is_told_beside_what_is() -> None:
    """The coming plan has its own reason and places, and the progress is the backend's."""
    loading = Placed(backend="b", model="m", plan=SplitPlan(reason="old"), coming=SPLIT)
    (model,) = told(loading, health=Health(ready=False, reason="loading", progress=0.5))["models"]
    assert (model["plan"], [place["place"] for place in model["places"]]) == ("old", ["here"])
    assert (model["coming"]["plan"], [place["place"] for place in model["coming"]["places"]]) == ("why", ["here", "w1"])
    assert (model["ready"], model["reason"], model["progress"]) == (False, "loading", 0.5)


def test_the_document_can_be_read_back() -> None:
    """What is told can be read by the same words: the command line does."""
    swarm = Swarm(placed=(Placed(backend="b", model="m", plan=SPLIT, coming=SPLIT),))
    read = msgspec.json.decode(swarm_json(swarm, [], "1"), type=SwarmDocument)
    assert [place.total_bytes for place in read.models[0].places] == [111, 78]
    assert read.models[0].ready is False


def test_those_that_answer_are_told_with_their_state() -> None:
    """Draining goes before not being ready, that before being broken; a trial is told beside it."""
    ready = Health(ready=True)
    nodes = (
        Answering(backend="a", node="far", models=("m",), health=ready, in_flight=2),
        Answering(backend="b", health=Health(ready=False, reason="nothing answers")),
        Answering(backend="c", health=ready, draining=True),
        Answering(backend="d", health=ready, breaker="open", retry_seconds=1.23),
        Answering(backend="e", health=ready, breaker="half_open"),
    )
    found = msgspec.json.decode(swarm_json(Swarm(nodes=nodes), [], "0"))["nodes"]
    assert found[0] == {"name": "a", "state": "ready", "models": ["m"], "in_flight": 2, "node": "far"}
    assert [node["state"] for node in found] == ["ready", "not_ready", "draining", "broken", "ready"]
    assert (found[1]["reason"], found[3]["retry_seconds"], found[4]["trial"]) == ("nothing answers", 1.2, True)


def test_the_gateway_tells_of_its_machine() -> None:
    """As far as that is known: above it was not; and whether it is in a swarm, and who may answer for it."""
    told = swarm_document(Swarm(memory_bytes=5, cores=2, authority="12D3", federated=True), [], "1").gateway
    assert (told.memory_total_bytes, told.cores) == (5, 2)
    assert (told.swarm, told.federated) == ("12D3", True)
