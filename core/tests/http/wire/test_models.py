from __future__ import annotations

import msgspec
from swarmgate.chat import ModelCard
from swarmgate.http.wire.models import ModelList, Served, model_json, models_json
from swarmgate.nouns import Health, Node, NodeId
from swarmgate.roster import Placed
from swarmgate.split import Portion, SplitPlan


def test_a_model_has_more_than_the_standard_fields() -> None:
    """The context's length and the facts of the weights stand beside OpenAI's fields."""
    card = ModelCard(name="org/m", created=7, context_length=99, quantization="Q8_0", weight_bytes=5, aliases=("m",))
    found = msgspec.json.decode(model_json(Served(card, Health(ready=True), replicas=3, slots=12)))
    assert found == {
        "id": "org/m",
        "object": "model",
        "created": 7,
        "owned_by": "swarmgate",
        "meta": {
            "ready": True,
            "abilities": ["chat", "completion"],
            "slots": 12,
            "replicas": 3,
            "quantization": "Q8_0",
            "size": 5,
        },
        "aliases": ["m"],
        "context_length": 99,
        "max_model_len": 99,
        "status": {"value": "loaded"},
    }


def test_a_loading_model_says_so() -> None:
    """What is not known yet is left out; how far loading has come is not."""
    health = Health(ready=False, reason="loading", progress=0.5)
    found = msgspec.json.decode(
        models_json([Served(ModelCard(name="m"), health)], Node(id=NodeId("n1"), name="first"), ping_seconds=15),
        type=ModelList,
    )
    assert found.data[0].meta.progress == 0.5
    assert found.data[0].meta.reason == "loading"
    assert found.data[0].context_length is msgspec.UNSET


def test_a_loaded_model_says_where_it_lies() -> None:
    """Its places in short, in bytes, with the reason; one that has no plan says what is wanted, and missing."""
    plan = SplitPlan(reason="it fits", portions=(Portion(end=32, output=True, weights=9, compute=1, share=1.0),))
    placed = (
        Placed(backend="b", model="m", placement="local", plan=plan),
        Placed(backend="c", model="n", waiting="nobody lends"),
    )
    healths = (Health(ready=True), Health(ready=False, reason="not loaded yet"))
    served = [
        Served(ModelCard(name=each.model), health, placed=each) for each, health in zip(placed, healths, strict=True)
    ]
    found = msgspec.json.decode(models_json(served, Node(id=NodeId("n1"), name="first"), ping_seconds=15))
    lies, waits = (model["meta"] for model in found["data"])
    assert (lies["placement"], lies["plan"]) == ("local", "it fits")
    assert lies["places"] == [{"place": "here", "first_layer": 0, "last_layer": 31, "output": True, "bytes": 10}]
    assert (waits["placement"], waits["reason"]) == ("auto", "nobody lends")
    assert not {"plan", "places"} & waits.keys()
