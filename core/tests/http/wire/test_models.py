from __future__ import annotations

import msgspec
from swarmgate.chat import ModelCard
from swarmgate.http.wire.models import ModelList, Served, model_json, models_json
from swarmgate.nouns import Health, Node, NodeId


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
    }


def test_a_loading_model_says_so() -> None:
    """What is not known yet is left out; how far loading has come is not."""
    health = Health(ready=False, reason="loading", progress=0.5)
    found = msgspec.json.decode(
        models_json([Served(ModelCard(name="m"), health)], Node(id=NodeId("n1"), name="first")), type=ModelList
    )
    assert found.data[0].meta.progress == 0.5
    assert found.data[0].meta.reason == "loading"
    assert found.data[0].context_length is msgspec.UNSET
