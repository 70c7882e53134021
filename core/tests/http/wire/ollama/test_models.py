from __future__ import annotations

import re

import msgspec
import pytest
from swarmgate.chat import ModelCard
from swarmgate.errors import RequestError
from swarmgate.http.wire.ollama.models import (
    RunningModels,
    ShowBody,
    ShownModel,
    TaggedModels,
    running_json,
    shown_json,
    tags_json,
    version_json,
)

_CARD = ModelCard(
    name="org/m",
    fingerprint="ab" * 32,
    architecture="llama",
    quantization="Q4_1",
    parameters=134_515_008,
    weight_bytes=91_000_000,
    context_length=2048,
    context_train=8192,
    layers=30,
    embedding_length=576,
    vocabulary=49152,
    created=1700000000,
)


def test_models_are_listed_with_what_is_known() -> None:
    """Each with a tag and a digest; of one that nobody knows anything of, nothing is made up."""
    known, unknown = msgspec.json.decode(tags_json([_CARD, ModelCard(name="x:7b")]), type=TaggedModels).models
    assert (known.name, known.model, known.modified_at) == ("org/m:latest", "org/m:latest", "2023-11-14T22:13:20Z")
    assert (known.size, known.digest) == (91_000_000, "ab" * 32)
    details = known.details
    assert (details.family, details.families, details.format) == ("llama", ["llama"], "gguf")
    assert (details.parameter_size, details.quantization_level) == ("134.5M", "Q4_1")
    assert (unknown.name, unknown.details.parameter_size, unknown.details.families) == ("x:7b", "", [])
    assert re.fullmatch("[0-9a-f]{64}", unknown.digest)


@pytest.mark.parametrize(("parameters", "size"), [(7_600_000_000, "7.6B"), (999, "999"), (22_700, "22.7K"), (0, "")])
def test_sizes_are_as_people_say_them(parameters: int, size: str) -> None:
    """In billions, millions, thousands."""
    listed = tags_json([msgspec.structs.replace(_CARD, parameters=parameters)])
    assert msgspec.json.decode(listed, type=TaggedModels).models[0].details.parameter_size == size


def test_loaded_models_stay() -> None:
    """Until a time that does not come."""
    (model,) = msgspec.json.decode(running_json([_CARD]), type=RunningModels).models
    assert (model.name, model.expires_at, model.context_length) == ("org/m:latest", "9999-12-31T23:59:59Z", 2048)


def test_a_model_shows_a_ggufs_names() -> None:
    """Its context is what a request may use here."""
    shown = msgspec.json.decode(shown_json(_CARD), type=ShownModel)
    assert shown.model_info == {
        "general.architecture": "llama",
        "general.basename": "org/m",
        "general.parameter_count": 134_515_008,
        "llama.context_length": 2048,
        "llama.embedding_length": 576,
        "llama.block_count": 30,
        "llama.vocab_size": 49152,
    }
    assert shown.capabilities == ["completion", "tools"]


def test_a_model_says_what_it_can() -> None:
    """Embedding models neither complete nor call; texts alone are continued without calls."""
    embeds = ModelCard(name="e", abilities=frozenset({"embedding"}))
    continues = ModelCard(name="c", abilities=frozenset({"completion"}))
    assert msgspec.json.decode(shown_json(embeds), type=ShownModel).capabilities == ["embedding"]
    assert msgspec.json.decode(shown_json(continues), type=ShownModel).capabilities == ["completion"]


def test_a_model_is_asked_for_by_either_field() -> None:
    """Older clients call it name."""
    assert (ShowBody(model="m").wanted, ShowBody(name="m").wanted) == ("m", "m")
    with pytest.raises(RequestError, match="model: required, but missing"):
        _ = ShowBody().wanted


def test_the_version_is_one_of_ollamas() -> None:
    """Three numbers, as clients compare them."""
    assert re.fullmatch(r"\d+\.\d+\.\d+", msgspec.json.decode(version_json())["version"])
