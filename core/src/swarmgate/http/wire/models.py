"""``GET /v1/models``: what is served, with the facts that clients ask for beyond OpenAI's."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

from msgspec import UNSET, Struct, UnsetType

from swarmgate.chat import ModelCard
from swarmgate.http.wire.heading import encode
from swarmgate.http.wire.swarm import place_documents
from swarmgate.nouns import Health
from swarmgate.roster import Placed
from swarmgate.split import Placement, SplitPlan

_NOWHERE: Mapping[str, Placed] = MappingProxyType({})


class ModelPlace(Struct, kw_only=True):
    """What one place (``here``, or a worker by its name) holds of a model; *bytes* is all it takes up there."""

    place: str
    first_layer: int | None = None
    last_layer: int | None = None
    output: bool | UnsetType = UNSET
    bytes: int | UnsetType = UNSET


class ModelMeta(Struct, kw_only=True):
    """Facts about a model; sizes in bytes.  What is not known (yet) is left out.

    *slots* is how many answers are written at once.  *ready* says whether it could answer now,
    *reason* and *progress* (from 0 to 1) why not.  *places* is where its parts are, *plan* why there, and
    *placement* what was wanted.
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
    placement: Placement | UnsetType = UNSET
    plan: str | UnsetType = UNSET
    places: list[ModelPlace] | UnsetType = UNSET


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


def model_document(card: ModelCard, health: Health, placed: Placed | None = None) -> ModelDocument:
    """Return *card*, which does as *health* says and lies where *placed* says, as clients read it."""
    plan = placed.plan if placed else None
    waiting = placed.waiting if placed and not health.ready else ""
    return ModelDocument(
        id=card.name,
        created=card.created,
        aliases=list(card.aliases) or UNSET,
        context_length=card.context_length or UNSET,
        max_model_len=card.context_length or UNSET,
        meta=ModelMeta(
            ready=health.ready,
            reason=waiting or health.reason or UNSET,
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
            placement=placed.placement if placed else UNSET,
            plan=plan.reason if plan else UNSET,
            places=_places(plan) if plan else UNSET,
        ),
    )


def model_json(card: ModelCard, health: Health, placed: Mapping[str, Placed] = _NOWHERE) -> bytes:
    """Return one model as JSON; *placed* says by its name where it lies."""
    return encode(model_document(card, health, placed.get(card.name)))


def models_json(models: list[tuple[ModelCard, Health]], placed: Mapping[str, Placed] = _NOWHERE) -> bytes:
    """Return all *models* as JSON; *placed* says by their names where they lie."""
    return encode(ModelList(data=[model_document(card, health, placed.get(card.name)) for card, health in models]))


def _places(plan: SplitPlan) -> list[ModelPlace]:
    return [
        ModelPlace(
            place=place.place,
            first_layer=place.first_layer,
            last_layer=place.last_layer,
            output=place.output,
            bytes=place.total_bytes,
        )
        for place in place_documents(plan)
    ]
