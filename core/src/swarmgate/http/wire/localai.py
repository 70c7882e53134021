"""The swarm in LocalAI's shapes, for what was written against LocalAI.  Pure.

They are those of LocalAI v3 and v4, found in its code: ``/api/p2p`` has Go's names of fields, the others JSON's.
Nobody here lends to MLX, so that lists of it are empty.  LocalAI's own readers take somebody for online whose
*LastSeen* is less than 40 s ago; here *isOnline* is whether somebody can be used now, and is known within seconds.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from msgspec import Struct, field

from swarmgate.roster import Member, Swarm

#: Go's zero time, LocalAI's way to say never.
_NEVER = datetime(1, 1, 1, tzinfo=UTC)


class NodeData(Struct, kw_only=True):
    """One node in Go's names of fields."""

    name: str = field(name="Name")
    id: str = field(name="ID")
    tunnel_address: str = field(name="TunnelAddress")
    service_id: str = field(name="ServiceID")
    last_seen: datetime = field(name="LastSeen")


class P2pNodes(Struct, kw_only=True):
    """All that offer something; *nodes* are the workers again, by the name that LocalAI's page has."""

    llama_cpp_nodes: list[NodeData]
    federated_nodes: list[NodeData]
    mlx_nodes: list[NodeData] = []
    nodes: list[NodeData]


class ListedNode(Struct, kw_only=True, rename="camel"):
    """One node: *tunnel_address* is where this machine reaches it, empty while it does not."""

    name: str
    id: str
    tunnel_address: str
    service_id: str = field(name="serviceID")
    last_seen: datetime
    is_online: bool


class NodeList(Struct, kw_only=True):
    """Nodes of one kind."""

    nodes: list[ListedNode] = []


class WorkerNodes(Struct, kw_only=True):
    """Who lends, by what for; *nodes* are those for llama.cpp again, as older versions had them."""

    llama_cpp: NodeList
    mlx: NodeList
    nodes: list[ListedNode]


class Counted(Struct, kw_only=True):
    """How many there are of one kind."""

    online: int = 0
    total: int = 0


class P2pStats(Struct, kw_only=True):
    """How many there are of each kind."""

    llama_cpp_workers: Counted
    federated: Counted
    mlx_workers: Counted


def p2p_nodes(swarm: Swarm, now: datetime) -> P2pNodes:
    """Return the document of ``/api/p2p``."""
    workers = [_data(each) for each in listed(swarm.members, now)]
    gateways = [_data(each) for each in listed(swarm.gateways, now)]
    return P2pNodes(llama_cpp_nodes=workers, federated_nodes=gateways, nodes=workers)


def worker_nodes(swarm: Swarm, now: datetime) -> WorkerNodes:
    """Return the document of ``/api/p2p/workers``."""
    workers = listed(swarm.members, now)
    return WorkerNodes(llama_cpp=NodeList(nodes=workers), mlx=NodeList(), nodes=workers)


def federated_nodes(swarm: Swarm, now: datetime) -> NodeList:
    """Return the document of ``/api/p2p/federation``."""
    return NodeList(nodes=listed(swarm.gateways, now))


def p2p_stats(swarm: Swarm) -> P2pStats:
    """Return the document of ``/api/p2p/stats``."""
    workers, gateways = _counted(swarm.members), _counted(swarm.gateways)
    return P2pStats(llama_cpp_workers=workers, federated=gateways, mlx_workers=Counted())


def listed(members: Iterable[Member], now: datetime) -> list[ListedNode]:
    """Return *members* as LocalAI lists them at the time *now*."""
    return [
        ListedNode(
            name=each.offer.name,
            id=each.offer.node,
            tunnel_address="" if each.endpoint is None else str(each.endpoint),
            service_id="/".join(each.offer.key),
            last_seen=_NEVER if each.seen_seconds is None else now - timedelta(seconds=each.seen_seconds),
            is_online=_online(each),
        )
        for each in members
    ]


def _online(member: Member) -> bool:
    return member.standing in {"usable", "announced"}


def _counted(members: tuple[Member, ...]) -> Counted:
    return Counted(online=sum(map(_online, members)), total=len(members))


def _data(node: ListedNode) -> NodeData:
    return NodeData(
        name=node.name,
        id=node.id,
        tunnel_address=node.tunnel_address,
        service_id=node.service_id,
        last_seen=node.last_seen,
    )
