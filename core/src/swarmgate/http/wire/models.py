"""``GET /v1/models``: what is served, with the facts that clients ask for beyond OpenAI's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from msgspec import UNSET, Struct, UnsetType

from swarmgate.chat import ModelCard
from swarmgate.http.wire.heading import encode
from swarmgate.http.wire.swarm import place_documents
from swarmgate.modelfiles import ENDING, ModelFile
from swarmgate.nouns import Health, Node
from swarmgate.roster import ModelState, Placed
from swarmgate.split import Placement, SplitPlan


class ModelPlace(Struct, kw_only=True):
    """What one place (``here``, or a worker by its name) holds of a model; *bytes* is all it takes up there."""

    place: str
    first_layer: int | None = None
    last_layer: int | None = None
    output: bool | UnsetType = UNSET
    bytes: int | UnsetType = UNSET


class ModelMeta(Struct, kw_only=True):
    """Facts about a model; sizes in bytes.  What is not known (yet) is left out.

    *slots* is how many answers are written at once, by all *replicas* (machines that have it) together.
    *ready* says whether it could answer now, *reason* and *progress* (from 0 to 1) why not.  *places* is where its
    parts are, *plan* why there, and *placement* what was wanted.  *paths* are told to gateways only: the ids of those
    on each way to a machine that computes, this one first.
    """

    ready: bool
    abilities: list[str]
    slots: int
    replicas: int = 1
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
    paths: list[list[str]] | UnsetType = UNSET


class ModelStatus(Struct, kw_only=True):
    """Whether a model is loaded, in the words of llama-server's router; *failed* that it cannot be."""

    value: Literal["loaded", "loading", "unloaded"]
    failed: bool | UnsetType = UNSET


class ModelDocument(Struct, kw_only=True):
    """A model.  *context_length* and *max_model_len* are tokens of prompt and answer together.

    *file* is its file in the models folder, told only to whoever looks after the gateway.
    """

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str = "swarmgate"
    meta: ModelMeta
    aliases: list[str] | UnsetType = UNSET
    context_length: int | UnsetType = UNSET
    max_model_len: int | UnsetType = UNSET
    status: ModelStatus | UnsetType = UNSET
    file: str | UnsetType = UNSET


class GatewayDocument(Struct, kw_only=True):
    """Which gateway answers: its opaque *id*, its *name* for people, and how long its streams are silent at most."""

    id: str
    name: str
    ping_seconds: float


class ModelList(Struct, kw_only=True):
    """All models served, and by whom."""

    object: Literal["list"] = "list"
    data: list[ModelDocument]
    gateway: GatewayDocument


class Ordered(Struct, kw_only=True):
    """What became of an order to load or unload: which *models* it meant, and how they are now."""

    success: bool = True
    models: list[str]
    state: ModelState


@dataclass(frozen=True, slots=True)
class Served:
    """A model as it is served: its card, how it does, on how many machines, and by which ways."""

    card: ModelCard
    health: Health
    replicas: int = 1
    slots: int = 1
    paths: tuple[tuple[str, ...], ...] = ()
    placed: Placed | None = None


def model_document(served: Served) -> ModelDocument:
    """Return what is *served* as clients read it."""
    card, health = served.card, served.health
    placed = served.placed
    plan = placed.plan if placed else None
    waiting = placed.waiting if placed and not health.ready else ""
    return ModelDocument(
        id=card.name,
        created=card.created,
        aliases=list(card.aliases) or UNSET,
        context_length=card.context_length or UNSET,
        max_model_len=card.context_length or UNSET,
        status=_status(served),
        meta=ModelMeta(
            ready=health.ready,
            reason=waiting or health.reason or UNSET,
            progress=UNSET if health.progress is None else health.progress,
            abilities=sorted(card.abilities),
            slots=served.slots,
            replicas=served.replicas,
            paths=[list(path) for path in served.paths] or UNSET,
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


def model_json(served: Served) -> bytes:
    """Return one model as JSON."""
    return encode(model_document(served))


def models_json(models: list[Served], node: Node, *, ping_seconds: float) -> bytes:
    """Return all *models* of the gateway *node* as JSON."""
    gateway = GatewayDocument(id=node.id, name=node.name, ping_seconds=ping_seconds)
    return encode(ModelList(data=[model_document(served) for served in models], gateway=gateway))


def files_json(
    models: list[Served], held: Mapping[str, str], free: list[ModelFile], node: Node, *, ping_seconds: float
) -> bytes:
    """Return all *models* of the gateway *node* and the *free* files as JSON.

    *held* is which file of the models folder each model is of that is of one, by its name.
    """
    listed = [*map(model_document, models), *map(file_document, free)]
    for document in listed:
        document.file = held.get(document.id, document.file)
    gateway = GatewayDocument(id=node.id, name=node.name, ping_seconds=ping_seconds)
    return encode(ModelList(data=listed, gateway=gateway))


def file_document(file: ModelFile) -> ModelDocument:
    """Return a *file* that nobody has loaded as clients read it: its id is what it is loaded by."""
    return ModelDocument(
        id=file.name.removesuffix(ENDING),
        created=file.modified,
        file=file.name,
        status=ModelStatus(value="unloaded"),
        meta=ModelMeta(
            ready=False,
            reason=f"{file.missing} of its parts are missing" if file.missing else "is not loaded",
            abilities=[],
            slots=0,
            size=file.size,
            quantization=file.quantization or UNSET,
        ),
    )


def _status(served: Served) -> ModelStatus:
    """Return the status of what is *served*; of what other machines have only that much is known."""
    if served.health.ready:
        return ModelStatus(value="loaded")
    state = served.placed.state if served.placed else "loading"
    if state in {"loading", "waiting"}:
        return ModelStatus(value="loading")
    return ModelStatus(value="unloaded", failed=True if state == "failed" else UNSET)


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
