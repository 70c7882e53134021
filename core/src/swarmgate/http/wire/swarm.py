"""``GET /v1/swarm``: which part of which model lies where, and who lends.  The documents of ``gateway plan`` too."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from msgspec import UNSET, Struct, UnsetType

from swarmgate.chat import ModelCard
from swarmgate.http.wire.heading import encode
from swarmgate.nouns import Health, Worker
from swarmgate.roster import Answering, Member, Placed, Standing, Swarm
from swarmgate.split import Placement, Portion, SplitPlan

#: What a place is called that is this machine.
HERE = "here"
_LONGEST_NUMBER = 18

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
    """A model that is served: *ready*, or why not and how far loading has come (from 0 to 1)."""

    ready: bool
    aliases: list[str] | UnsetType = UNSET
    reason: str | UnsetType = UNSET
    progress: float | UnsetType = UNSET
    coming: ComingDocument | UnsetType = UNSET


class WayDocument(Struct, kw_only=True):
    """Which way bytes go to somebody: *kind* is ``direct`` or ``relayed``, through another member's machine.

    *rtt_seconds* is the round trip as last measured.
    """

    address: str
    kind: Literal["direct", "relayed"] | UnsetType = UNSET
    rtt_seconds: float | UnsetType = UNSET
    reason: str | UnsetType = UNSET


class MemberDocument(Struct, kw_only=True):
    """One that offers something.  *reason* says why it is left out, *retry_seconds* when it is tried again.

    One that is ``announced`` is reached when somebody has use for it.
    *found* are the parts by which it was found, *way* is there while it is reached.  What is not known is left out.
    """

    name: str
    node: str
    service: str
    addresses: list[str]
    state: Standing
    found: list[str] | UnsetType = UNSET
    endpoint: str | UnsetType = UNSET
    way: WayDocument | UnsetType = UNSET
    reason: str | UnsetType = UNSET
    retry_seconds: float | UnsetType = UNSET
    version: str | UnsetType = UNSET


class WorkerDocument(MemberDocument, kw_only=True):
    """One that lends.  *leased_by* names who has it, *model* which of our models that is."""

    memory_bytes: int | UnsetType = UNSET
    memory_total_bytes: int | UnsetType = UNSET
    devices: list[str] | UnsetType = UNSET
    rpc_version: str | UnsetType = UNSET
    cores: int | UnsetType = UNSET
    leased_by: str | UnsetType = UNSET
    model: str | UnsetType = UNSET


class PeerDocument(MemberDocument, kw_only=True):
    """Another gateway, as it offers itself: with its *models*, and its *role* in the swarm."""

    models: list[str] | UnsetType = UNSET
    role: str | UnsetType = UNSET


class GatewayDocument(Struct, kw_only=True):
    """The gateway that says all this."""

    name: str
    id: str
    version: str
    uptime_seconds: float


class NodeDocument(Struct, kw_only=True):
    """One that answers: a backend of this gateway, or by it another gateway or server, whose name is *node*.

    *state* is ``ready``, ``not_ready``, ``draining`` (nothing new is sent there) or ``broken`` (it failed, and is
    left alone for *retry_seconds*); *trial* says that it is being tried again.
    """

    name: str
    state: NodeState
    models: list[str]
    in_flight: int
    node: str | UnsetType = UNSET
    reason: str | UnsetType = UNSET
    retry_seconds: float | UnsetType = UNSET
    trial: bool | UnsetType = UNSET


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


def swarm_document(swarm: Swarm, cards: Iterable[ModelCard], version: str) -> SwarmDocument:
    """Return *swarm* as people read it; *cards* know the models' aliases, *version* is the gateway's."""
    aliases = {card.name: list(card.aliases) for card in cards}
    return SwarmDocument(
        gateway=GatewayDocument(
            name=swarm.node.name, id=swarm.node.id, version=version, uptime_seconds=round(swarm.seconds, 1)
        ),
        models=[
            _model(placed, swarm.healths.get(placed.backend, Health(ready=False)), aliases.get(placed.model, []))
            for placed in swarm.placed
        ],
        workers=[worker_document(member) for member in swarm.members],
        nodes=[node_document(node) for node in swarm.nodes],
        gateways=[peer_document(member) for member in swarm.gateways],
    )


def swarm_json(swarm: Swarm, cards: Iterable[ModelCard], version: str) -> bytes:
    """Return the same as JSON."""
    return encode(swarm_document(swarm, cards, version))


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


def node_document(node: Answering) -> NodeDocument:
    """Return what is known of *node*."""
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
    )


def worker_document(member: Member) -> WorkerDocument:
    """Return what is known of *member*, who lends."""
    labels = member.labels
    return WorkerDocument(
        **_facts(member),
        memory_bytes=_number(labels, "memory_bytes"),
        memory_total_bytes=_number(labels, "memory_total_bytes"),
        devices=_listed(labels, "devices") or UNSET,
        rpc_version=labels.get("rpc_version") or UNSET,
        cores=_number(labels, "cores") or UNSET,
        leased_by=labels.get("leased_by") or UNSET,
        model=member.model or UNSET,
    )


def peer_document(member: Member) -> PeerDocument:
    """Return what is known of *member*, which is a gateway."""
    labels = member.labels
    return PeerDocument(**_facts(member), models=_listed(labels, "models") or UNSET, role=labels.get("role") or UNSET)


def _facts(member: Member) -> dict[str, Any]:
    """Return what there is to say of whatever *member* offers."""
    offer = member.offer
    return {
        "name": offer.name,
        "node": offer.node,
        "service": offer.service,
        "addresses": list(offer.addresses),
        "state": member.standing,
        "found": list(member.found) or UNSET,
        "endpoint": UNSET if member.endpoint is None else str(member.endpoint),
        "way": _way(member),
        "reason": member.reason or UNSET,
        "retry_seconds": UNSET if member.retry_seconds is None else round(member.retry_seconds, 1),
        "version": member.labels.get("version") or UNSET,
    }


def _way(member: Member) -> WayDocument | UnsetType:
    if not member.address:
        return UNSET
    way = member.way
    if way is None:
        return WayDocument(address=member.address)
    rtt = UNSET if way.rtt_seconds is None else round(way.rtt_seconds, 6)
    return WayDocument(address=member.address, kind=way.kind, rtt_seconds=rtt, reason=way.reason or UNSET)


def _listed(labels: dict[str, str], name: str) -> list[str]:
    return [each.strip() for each in labels.get(name, "").split(",") if each.strip()]


def _model(placed: Placed, health: Health, aliases: list[str]) -> PlacedModel:
    coming = placed.coming
    return PlacedModel(
        name=placed.model,
        aliases=aliases or UNSET,
        backend=placed.backend,
        placement=placed.placement,
        ready=health.ready,
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
    return _number(worker.offer.labels, "memory_bytes")


def _number(labels: dict[str, str], name: str) -> int | UnsetType:
    """Return what the label *name* says, if that is a number a client can read: labels are others' words."""
    label = labels.get(name, "")
    return int(label) if len(label) <= _LONGEST_NUMBER and label.isascii() and label.isdecimal() else UNSET
