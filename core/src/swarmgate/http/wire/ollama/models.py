"""``/api/tags``, ``/api/show`` and ``/api/ps``: what is served, in Ollama's shapes."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from typing import Any

from msgspec import UNSET, Struct, UnsetType

from swarmgate.chat import ModelCard
from swarmgate.errors import RequestError
from swarmgate.http.wire.heading import encode
from swarmgate.http.wire.ollama.names import tagged
from swarmgate.http.wire.ollama.timing import rfc3339
from swarmgate.http.wire.reading import Body

#: What of Ollama's API is understood here; clients ask before they use what is newer.
API_VERSION = "0.12.11"
#: Models stay loaded.
_NEVER = "9999-12-31T23:59:59Z"
_DIGEST = re.compile(r"[0-9a-f]{64}")
_SIZES = ((1_000_000_000, "B"), (1_000_000, "M"), (1_000, "K"))


class ShowBody(Body, kw_only=True):
    """Which model is to be shown; *name* is what older clients call it."""

    model: str | None = None
    name: str | None = None
    verbose: bool | None = None

    @property
    def wanted(self) -> str:
        """Return its name.

        Raises:
            RequestError: there is none.

        """
        wanted = self.model or self.name
        if not wanted:
            raise RequestError("model: required, but missing", param="model")
        return wanted


class ModelDetails(Struct, kw_only=True):
    """What kind of model it is; empty where nobody knows."""

    parent_model: str = ""
    format: str = "gguf"
    family: str
    families: list[str]
    parameter_size: str
    quantization_level: str


class TaggedModel(Struct, kw_only=True):
    """A model that is served; *size* in bytes."""

    name: str
    model: str
    modified_at: str
    size: int
    digest: str
    details: ModelDetails


class TaggedModels(Struct, kw_only=True):
    """All models."""

    models: list[TaggedModel]


class RunningModel(Struct, kw_only=True):
    """A model that is loaded; *context_length* (tokens, prompt and answer together) is left out while it is unknown."""

    name: str
    model: str
    size: int
    digest: str
    details: ModelDetails
    expires_at: str = _NEVER
    context_length: int | UnsetType = UNSET


class RunningModels(Struct, kw_only=True):
    """All models that are loaded."""

    models: list[RunningModel]


class ShownModel(Struct, kw_only=True):
    """All about a model that is known here; *model_info* has a GGUF file's names.

    Of its context it says what one request may use here, which may be less than what the model was trained with.
    """

    modified_at: str
    details: ModelDetails
    model_info: dict[str, Any]
    capabilities: list[str]
    modelfile: str = ""
    parameters: str = ""
    template: str = ""


class ApiVersion(Struct, kw_only=True):
    """The version of Ollama whose API is understood."""

    version: str


def tags_json(cards: Iterable[ModelCard]) -> bytes:
    """Return *cards* as the list of all models."""
    return encode(
        TaggedModels(
            models=[
                TaggedModel(
                    name=tagged(card.name),
                    model=tagged(card.name),
                    modified_at=rfc3339(card.created),
                    size=card.weight_bytes,
                    digest=_digest(card),
                    details=_details(card),
                )
                for card in cards
            ]
        )
    )


def running_json(cards: Iterable[ModelCard]) -> bytes:
    """Return *cards* as the list of loaded models."""
    return encode(
        RunningModels(
            models=[
                RunningModel(
                    name=tagged(card.name),
                    model=tagged(card.name),
                    size=card.weight_bytes,
                    digest=_digest(card),
                    details=_details(card),
                    context_length=card.context_length or UNSET,
                )
                for card in cards
            ]
        )
    )


def shown_json(card: ModelCard) -> bytes:
    """Return all about the model of *card*."""
    family = card.architecture or "unknown"
    facts: dict[str, Any] = {
        "general.architecture": card.architecture,
        "general.basename": card.name,
        "general.parameter_count": card.parameters,
        f"{family}.context_length": card.context_length or card.context_train,
        f"{family}.embedding_length": card.embedding_length,
        f"{family}.block_count": card.layers,
        f"{family}.vocab_size": card.vocabulary,
    }
    return encode(
        ShownModel(
            modified_at=rfc3339(card.created),
            details=_details(card),
            model_info={name: fact for name, fact in facts.items() if fact},
            capabilities=_capabilities(card),
        )
    )


def version_json() -> bytes:
    """Return which version's API is understood."""
    return encode(ApiVersion(version=API_VERSION))


def _details(card: ModelCard) -> ModelDetails:
    return ModelDetails(
        family=card.architecture,
        families=[card.architecture] if card.architecture else [],
        parameter_size=_size(card.parameters),
        quantization_level=card.quantization,
    )


def _capabilities(card: ModelCard) -> list[str]:
    """Return what it can do: whatever chats can call tools, by its own form of calls or by ours."""
    found = ["completion"] if card.abilities & {"chat", "completion"} else []
    if "chat" in card.abilities:
        found.append("tools")
    if "embedding" in card.abilities:
        found.append("embedding")
    return found


def _digest(card: ModelCard) -> str:
    """Return what changes with the weights: 64 hexadecimal digits, as clients expect."""
    if _DIGEST.fullmatch(card.fingerprint):
        return card.fingerprint
    return hashlib.sha256((card.fingerprint or card.name).encode()).hexdigest()


def _size(parameters: int) -> str:
    """Return a number of parameters as people say it, such as ``134.5M``."""
    for unit, letter in _SIZES:
        if parameters >= unit:
            return f"{parameters / unit:.1f}{letter}"
    return str(parameters or "")
