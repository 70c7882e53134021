"""``GET /v1/models``: what is served, with the facts that clients ask for beyond OpenAI's."""

from __future__ import annotations

from typing import Literal

from msgspec import UNSET, Struct, UnsetType

from swarmgate.chat import ModelCard
from swarmgate.http.wire.heading import encode
from swarmgate.nouns import Health


class ModelMeta(Struct, kw_only=True):
    """Facts about a model; sizes in bytes.  What is not known (yet) is left out.

    *slots* is how many answers are written at once.  *ready* says whether it could answer now,
    *reason* and *progress* (from 0 to 1) why not.
    """

    ready: bool
    abilities: list[str]
    slots: int
    reason: str | UnsetType = UNSET
    progress: float | UnsetType = UNSET
    architecture: str | UnsetType = UNSET
    quantization: str | UnsetType = UNSET
    fingerprint: str | UnsetType = UNSET
    n_params: int | UnsetType = UNSET
    n_layer: int | UnsetType = UNSET
    n_embd: int | UnsetType = UNSET
    n_vocab: int | UnsetType = UNSET
    n_ctx_train: int | UnsetType = UNSET
    size: int | UnsetType = UNSET


class ModelDocument(Struct, kw_only=True):
    """A model.  *context_length* and *max_model_len* are tokens of prompt and answer together."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str = "swarmgate"
    meta: ModelMeta
    aliases: list[str] | UnsetType = UNSET
    context_length: int | UnsetType = UNSET
    max_model_len: int | UnsetType = UNSET


class ModelList(Struct, kw_only=True):
    """All models served."""

    object: Literal["list"] = "list"
    data: list[ModelDocument]


def model_document(card: ModelCard, health: Health) -> ModelDocument:
    """Return *card*, which does as *health* says, as clients read it."""
    return ModelDocument(
        id=card.name,
        created=card.created,
        aliases=list(card.aliases) or UNSET,
        context_length=card.context_length or UNSET,
        max_model_len=card.context_length or UNSET,
        meta=ModelMeta(
            ready=health.ready,
            reason=health.reason or UNSET,
            progress=UNSET if health.progress is None else health.progress,
            abilities=sorted(card.abilities),
            slots=card.slots,
            architecture=card.architecture or UNSET,
            quantization=card.quantization or UNSET,
            fingerprint=card.fingerprint or UNSET,
            n_params=card.parameters or UNSET,
            n_layer=card.layers or UNSET,
            n_embd=card.embedding_length or UNSET,
            n_vocab=card.vocabulary or UNSET,
            n_ctx_train=card.context_train or UNSET,
            size=card.weight_bytes or UNSET,
        ),
    )


def model_json(card: ModelCard, health: Health) -> bytes:
    """Return one model as JSON."""
    return encode(model_document(card, health))


def models_json(models: list[tuple[ModelCard, Health]]) -> bytes:
    """Return all *models* as JSON."""
    return encode(ModelList(data=[model_document(card, health) for card, health in models]))
