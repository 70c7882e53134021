from __future__ import annotations

import pytest
from swarmgate.chat import ModelCard
from swarmgate.errors import UnknownModel
from swarmgate.http.wire.ollama.names import meant, tagged

_CARDS = (ModelCard(name="org/m", aliases=("e",)), ModelCard(name="llama3:8b"))


@pytest.mark.parametrize(
    ("asked", "name"),
    [("org/m", "org/m"), ("org/m:latest", "org/m"), ("e:latest", "org/m"), ("llama3:8b", "llama3:8b")],
)
def test_a_model_is_found_with_or_without_its_tag(asked: str, name: str) -> None:
    """By its name, or an alias."""
    assert meant(_CARDS, asked).name == name


@pytest.mark.parametrize("asked", ["m", "org/m:7b", "llama3", "llama3:latest", "latest"])
def test_other_tags_are_other_models(asked: str) -> None:
    """What was asked for is named."""
    with pytest.raises(UnknownModel, match=f"no model is called '{asked.removesuffix(':latest')}'"):
        meant(_CARDS, asked)


def test_every_name_has_a_tag() -> None:
    """One that has one keeps it; a port in it is none."""
    assert [tagged(name) for name in ("m", "org/m", "llama3:8b", "host:80/m")] == [
        "m:latest",
        "org/m:latest",
        "llama3:8b",
        "host:80/m:latest",
    ]
