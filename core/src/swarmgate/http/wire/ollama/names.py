"""What models are called: Ollama puts a tag behind every name.  Pure."""

from __future__ import annotations

from swarmgate.chat import ModelCard
from swarmgate.errors import UnknownModel
from swarmgate.http.wire.asked import chosen

_LATEST = ":latest"


def meant(cards: tuple[ModelCard, ...], name: str | None) -> ModelCard:
    """Return the card of the model called *name*, with or without the tag ``latest``.

    Raises:
        RequestError: there is no name, and not exactly one model.
        UnknownModel: nobody serves that name.

    """
    try:
        return chosen(cards, name)
    except UnknownModel:
        plain = (name or "").removesuffix(_LATEST)
        if plain == name:
            raise
        return chosen(cards, plain)


def tagged(name: str) -> str:
    """Return *name* with a tag, as Ollama's clients expect of each."""
    return name if ":" in name.rpartition("/")[2] else name + _LATEST
