"""``GET /v1/swarm``: which part of which model lies where, and who lends.  The documents of ``gateway plan`` too."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from msgspec import UNSET, Struct, UnsetType

from swarmgate.chat import ModelCard
from swarmgate.http.wire.heading import encode
from swarmgate.http.wire.members import PeerDocument, WorkerDocument, number, peer_document, worker_document
from swarmgate.nouns import Health, Worker
from swarmgate.roster import Answering, ModelState, Placed, Swarm
from swarmgate.split import Placement, Portion, SplitPlan

#: What a place is called that is this machine.
HERE = "here"

#: How one that answers does.
NodeState = Literal["ready", "not_ready", "draining", "broken"]


class PlaceDocument(Struct, kw_only=True):
    """What one place holds of a model: layers from *first_layer* to *last_layer*, both included.

    *place* is ``here`` or the worker's name, *node* and *address* are the worker's.  *share* is the fraction of
    the model's layers, the output counting as one more.  Sizes are in bytes; *memory_bytes* is what the place had
    free when this was planned.  What is not known is left out.
    """

    place: str
    node: str | UnsetType = UNSET
    address: str | UnsetType = UNSET
    first_layer: int | None = None
    last_layer: int | None = None
    output: bool | UnsetType = UNSET
    share: float
    weight_bytes: int | UnsetType = UNSET
    cache_bytes: int | UnsetType = UNSET
    compute_bytes: int | UnsetType = UNSET
    total_bytes: int | UnsetType = UNSET
    memory_bytes: int | UnsetType = UNSET


class ComingDocument(Struct, kw_only=True):
    """A plan that is being loaded, and the reason for it."""

    plan: str
    places: list[PlaceDocument]


class PlannedModel(Struct, kw_only=True):
    """A model, where its parts are, and why there (*plan*), or why nowhere (*waiting*)."""

    name: str
    backend: str
    placement: Placement
    plan: str | UnsetType = UNSET
    places: list[PlaceDocument] = []
    waiting: str | UnsetType = UNSET


class PlacedModel(PlannedModel, kw_only=True):
    """A model of this gateway: *ready*, or why not and how far loading has come (from 0 to 1).

    *state* is ``loaded``, ``loading``, ``waiting`` (it cannot be loaded now), ``failed``, ``unloading`` (its last
    answers are being written) or ``unloaded``.
    """

    ready: bool
    state: ModelState = "loading"
    aliases: list[str] | UnsetType = UNSET
    reason: str | UnsetType = UNSET
    progress: float | UnsetType = UNSET
    coming: ComingDocument | UnsetType = UNSET


class GatewayDocument(Struct, kw_only=True):
    """The gateway that says all this, and the whole memory and the processors of its machine.

    *swarm* is the id of the swarm it is in; *federated* says whether gateways that are offered may answer for it: else
    it does not look at them.
    """

    name: str
    id: str
    version: str
    uptime_seconds: float
    memory_total_bytes: int | UnsetType = UNSET
    cores: int | UnsetType = UNSET
    swarm: str | UnsetType = UNSET
    federated: bool = False


class NodeDocument(Struct, kw_only=True):
    """One that answers: a backend of this gateway, or by it another gateway or server, whose name is *node*.

    *state* is ``ready``, ``not_ready``, ``draining`` (nothing new is sent there) or ``broken`` (it failed, and is
    left alone for *retry_seconds*); *trial* says that it is being tried again.  *slots* are the answers it writes at
    once, *tokens_per_second* what it has written for this gateway lately.
    """

    name: str
    state: NodeState
    models: list[str]
    in_flight: int
    node: str | UnsetType = UNSET
    reason: str | UnsetType = UNSET
    retry_seconds: float | UnsetType = UNSET
    trial: bool | UnsetType = UNSET
    slots: int | UnsetType = UNSET
    tokens_per_second: float | UnsetType = UNSET


class Drained(Struct, kw_only=True):
    """The backends that an order to drain meant, and what they do now."""

    backends: list[str]
    draining: bool


class SwarmDocument(Struct, kw_only=True):
    """A gateway, its models, those that answer, its workers, and the other gateways that are offered."""

    gateway: GatewayDocument
    models: list[PlacedModel]
    workers: list[WorkerDocument]
    nodes: list[NodeDocument] = []
    gateways: list[PeerDocument] = []


def swarm_document(
    swarm: Swarm, cards: Iterable[ModelCard], version: str, rates: Mapping[str, float] | None = None
) -> SwarmDocument:
    """Return *swarm* as people read it; *cards* know the models' aliases, *version* is the gateway's.

    *rates* are the tokens per second that backends have written lately, by their names.
    """
    aliases = {card.name: list(card.aliases) for card in cards}
    return SwarmDocument(
        gateway=GatewayDocument(
            name=swarm.node.name,
            id=swarm.node.id,
            version=version,
            uptime_seconds=round(swarm.seconds, 1),
            memory_total_bytes=swarm.memory_bytes or UNSET,
            cores=swarm.cores or UNSET,
            swarm=swarm.authority or UNSET,
            federated=swarm.federated,
        ),
        models=[
            _model(placed, swarm.healths.get(placed.backend, Health(ready=False)), aliases.get(placed.model, []))
            for placed in swarm.placed
        ],
        workers=[worker_document(member) for member in swarm.members],
        nodes=[node_document(node, (rates or {}).get(node.backend)) for node in swarm.nodes],
        gateways=[peer_document(member) for member in swarm.gateways],
    )


def swarm_json(
    swarm: Swarm, cards: Iterable[ModelCard], version: str, rates: Mapping[str, float] | None = None
) -> bytes:
    """Return the same as JSON."""
    return encode(swarm_document(swarm, cards, version, rates))


def place_documents(plan: SplitPlan, here: int | None = None) -> list[PlaceDocument]:
    """Return the places of *plan*, this machine first; *here* is its memory in bytes, if that is known."""
    if plan.portions:
        return [_portion(portion, here) for portion in plan.portions]
    if not plan.shares:
        return [PlaceDocument(place=HERE, share=1.0, output=True, memory_bytes=_memory(None, here))]
    return [
        PlaceDocument(
            place=_name(share.worker),
            node=_node(share.worker),
            address=_address(share.worker),
            share=share.fraction,
            memory_bytes=_memory(share.worker, here),
        )
        for share in sorted(plan.shares, key=lambda share: share.worker is not None)
    ]


def node_document(node: Answering, rate: float | None = None) -> NodeDocument:
    """Return what is known of *node*; *rate* is how many tokens per second it has written lately."""
    state: NodeState = "ready"
    if node.draining:
        state = "draining"
    elif not node.health.ready:
        state = "not_ready"
    elif node.breaker == "open":
        state = "broken"
    return NodeDocument(
        name=node.backend,
        state=state,
        models=list(node.models),
        in_flight=node.in_flight,
        node=node.node or UNSET,
        reason=node.health.reason or UNSET,
        retry_seconds=round(node.retry_seconds, 1) if node.breaker == "open" else UNSET,
        trial=True if node.breaker == "half_open" else UNSET,
        slots=node.slots or UNSET,
        tokens_per_second=UNSET if rate is None else round(rate, 1),
    )


def _model(placed: Placed, health: Health, aliases: list[str]) -> PlacedModel:
    coming = placed.coming
    return PlacedModel(
        name=placed.model,
        aliases=aliases or UNSET,
        backend=placed.backend,
        placement=placed.placement,
        ready=health.ready,
        state=placed.state,
        reason=UNSET if health.ready else placed.waiting or health.reason or UNSET,
        progress=UNSET if health.progress is None else health.progress,
        plan=placed.plan.reason if placed.plan else UNSET,
        places=place_documents(placed.plan) if placed.plan else [],
        coming=ComingDocument(plan=coming.reason, places=place_documents(coming)) if coming else UNSET,
        waiting=placed.waiting or UNSET,
    )


def _portion(portion: Portion, here: int | None) -> PlaceDocument:
    holds, known = portion.first < portion.end, portion.total > 0
    return PlaceDocument(
        place=_name(portion.worker),
        node=_node(portion.worker),
        address=_address(portion.worker),
        first_layer=portion.first if holds else None,
        last_layer=portion.end - 1 if holds else None,
        output=portion.output,
        share=portion.share,
        weight_bytes=portion.weights if known else UNSET,
        cache_bytes=portion.cache if known else UNSET,
        compute_bytes=portion.compute if known else UNSET,
        total_bytes=portion.total if known else UNSET,
        memory_bytes=_memory(portion.worker, here),
    )


def _name(worker: Worker | None) -> str:
    return HERE if worker is None else worker.offer.name


def _node(worker: Worker | None) -> str | UnsetType:
    return UNSET if worker is None else worker.offer.node


def _address(worker: Worker | None) -> str | UnsetType:
    return UNSET if worker is None else str(worker.endpoint)


def _memory(worker: Worker | None, here: int | None) -> int | UnsetType:
    if worker is None:
        return UNSET if here is None else here
    return number(worker.offer.labels, "memory_bytes")
