"""Those who offer something, as people read about them: workers that lend, and other gateways."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import UNSET, Struct, UnsetType

from swarmgate.http.wire.networks import Network, network_of
from swarmgate.roster import Member, Standing

_LONGEST_NUMBER = 18


class WayDocument(Struct, kw_only=True):
    """Which way bytes go to somebody: *kind* is ``direct`` or ``relayed``, through another member's machine.

    *network* is where the address lies that they go to first: on this machine, on a network of ours, or anywhere.
    *rtt_seconds* is the round trip as last measured.
    """

    address: str
    kind: Literal["direct", "relayed"] | UnsetType = UNSET
    network: Network | UnsetType = UNSET
    rtt_seconds: float | UnsetType = UNSET
    reason: str | UnsetType = UNSET


class MemberDocument(Struct, kw_only=True):
    """One that offers something.  *reason* says why it is left out, *retry_seconds* when it is tried again.

    *found* are the parts by which it was found, *way* is there while it is reached, *seen_seconds* is how long ago it
    could last be used: 0 while it can.  What is not known is left out.
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
    seen_seconds: float | UnsetType = UNSET
    memory_bytes: int | UnsetType = UNSET
    memory_total_bytes: int | UnsetType = UNSET
    devices: list[str] | UnsetType = UNSET
    cores: int | UnsetType = UNSET


class WorkerDocument(MemberDocument, kw_only=True):
    """One that lends.  *leased_by* names who has it, *model* which of our models that is."""

    rpc_version: str | UnsetType = UNSET
    leased_by: str | UnsetType = UNSET
    model: str | UnsetType = UNSET


class PeerDocument(MemberDocument, kw_only=True):
    """Another gateway, as it offers itself: with its *models*, and its *role* in the swarm."""

    models: list[str] | UnsetType = UNSET
    role: str | UnsetType = UNSET


def worker_document(member: Member) -> WorkerDocument:
    """Return what is known of *member*, who lends."""
    labels = member.labels
    return WorkerDocument(
        **_facts(member),
        rpc_version=labels.get("rpc_version") or UNSET,
        leased_by=labels.get("leased_by") or UNSET,
        model=member.model or UNSET,
    )


def peer_document(member: Member) -> PeerDocument:
    """Return what is known of *member*, which is a gateway."""
    labels = member.labels
    return PeerDocument(**_facts(member), models=_listed(labels, "models") or UNSET, role=labels.get("role") or UNSET)


def _facts(member: Member) -> dict[str, Any]:
    """Return what there is to say of whatever *member* offers."""
    offer, labels = member.offer, member.labels
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
        "version": labels.get("version") or UNSET,
        "seen_seconds": UNSET if member.seen_seconds is None else round(member.seen_seconds, 1),
        "memory_bytes": number(labels, "memory_bytes"),
        "memory_total_bytes": number(labels, "memory_total_bytes"),
        "devices": _listed(labels, "devices") or UNSET,
        "cores": number(labels, "cores") or UNSET,
    }


def _way(member: Member) -> WayDocument | UnsetType:
    if not member.address:
        return UNSET
    way = member.way
    if way is None:
        return WayDocument(address=member.address, network=network_of(member.address))
    rtt = UNSET if way.rtt_seconds is None else round(way.rtt_seconds, 6)
    address = way.address or member.address
    return WayDocument(
        address=address, kind=way.kind, network=network_of(address), rtt_seconds=rtt, reason=way.reason or UNSET
    )


def _listed(labels: dict[str, str], name: str) -> list[str]:
    return [each.strip() for each in labels.get(name, "").split(",") if each.strip()]


def number(labels: dict[str, str], name: str) -> int | UnsetType:
    """Return what the label *name* says, if that is a number a client can read: labels are others' words."""
    label = labels.get(name, "")
    return int(label) if len(label) <= _LONGEST_NUMBER and label.isascii() and label.isdecimal() else UNSET
