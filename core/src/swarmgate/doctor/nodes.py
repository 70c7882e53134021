"""Every node that is known: by what it was found, where it was dialled, and why it is not reached."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from swarmgate.checks import Ailment, Check, Finding, Patient
from swarmgate.config.blueprint import Blueprint
from swarmgate.doctor.case import Case
from swarmgate.doctor.lookout import PATIENCE_SECONDS, Seen, look_out
from swarmgate.http.wire.members import (
    MemberDocument,
    PeerDocument,
    WorkerDocument,
    peer_document,
    worker_document,
)
from swarmgate.http.wire.swarm import NodeDocument
from swarmgate.parts import DISCOVERY

#: How long nodes get that are listed, and have not to be found first, in seconds.
_LISTED_SECONDS = 4.0

NOT_REACHED = Ailment(
    code="nodes.not_reached",
    meaning="A node was found, or is configured, and cannot be used: nobody answers at its addresses, it speaks another"
    " version of llama.cpp's RPC, somebody else has it, or it turns this machine away.",
    remedy="The finding has the reason.  Nobody answers: is it running, does its firewall let this machine in, is it"
    " the right address?  Another version: install the same release on both.",
)
FAILING = Ailment(
    code="nodes.failing",
    meaning="A node answers requests badly: it is left alone after failures, or serves no model now.",
    remedy="`gateway explain` lists what became of the latest requests; look at the log of that node.",
)
PART_FAILED = Ailment(
    code="nodes.part_failed",
    meaning="A part by which nodes are found or reached (a transport, ledger or discovery) does not open, or has"
    " ended.",
    remedy="The finding has the reason; `gateway config show` has the part's options and where they came from.",
)
ALONE = Ailment(
    code="nodes.alone",
    meaning="This machine is in a swarm, or has a list of others, and nobody was found.",
    remedy="Is the token the same on both sides (`gateway token read` shows the swarm's id)?  On a LAN, does multicast"
    " pass (see `multicast`)?  Across networks, does one of them know an address of the other (`bootstrap_peers`)?"
    "  Gateways see only each other, and only those that are started with `--federated`.",
)
UNSOUGHT = Ailment(
    code="nodes.unsought",
    meaning="This machine is in a swarm, and none of the discoveries that are configured looks for its members: what"
    " `[[discovery]]` lists stands instead of the default, which would be all of them.",
    remedy='Add `[[discovery]]` with `use = "mdns"` and `use = "dht"` (or take the tables out), unless addresses alone'
    " are meant.",
)
AILMENTS = (NOT_REACHED, FAILING, PART_FAILED, ALONE, UNSOUGHT)


def checks(case: Case) -> list[Check]:
    """Return the check of the nodes, which takes some seconds where no gateway runs that knows them."""
    patience = PATIENCE_SECONDS if case.blueprint.settings.p2p else _LISTED_SECONDS
    return [Check("nodes", "the nodes that are known", AILMENTS, partial(_nodes, case, patience))]


async def _nodes(case: Case, patience: float, patient: Patient) -> Sequence[Finding]:
    return [*await _known(case, patience, patient), *_unsought(case.blueprint)]


def _unsought(blueprint: Blueprint) -> list[Finding]:
    """Return a word about a swarm whose members nobody looks for."""
    chosen = blueprint.of(DISCOVERY)
    if not blueprint.settings.p2p or any(choice.part.members_only for choice in chosen):
        return []
    names = ", ".join(choice.part.name for choice in chosen) or "no discovery"
    return [UNSOUGHT.noted(f"members of the swarm are not looked for: {names} is all that is configured")]


async def _known(case: Case, patience: float, patient: Patient) -> Sequence[Finding]:
    if case.running is not None:
        swarm = case.running.swarm
        findings = [*_members(swarm.workers, "worker"), *_members(swarm.gateways, "gateway")]
        findings += [_answering(node) for node in swarm.nodes if node.state == "broken"]
    elif case.barred:
        return [Finding(what="are not looked for: a gateway runs that would answer for them", level="note")]
    else:
        seen = await look_out(case.blueprint, patient.context, patience=patience)
        findings = seen_findings(seen)
    if not findings and case.blueprint.of(DISCOVERY):
        expected = case.blueprint.settings.p2p
        found = ALONE.noted("nobody else was found") if expected else Finding(what="none is configured, none was found")
        return [found]
    return findings


def seen_findings(seen: Seen) -> list[Finding]:
    """Return what is to be said of what the lookout saw."""
    failed = [PART_FAILED.found(why, about=part) for part, why in sorted(seen.failed.items())]
    workers = _members([worker_document(each) for each in seen.workers], "worker")
    return [*failed, *workers, *_members([peer_document(each) for each in seen.gateways], "gateway")]


def _members(members: Sequence[MemberDocument], kind: str) -> list[Finding]:
    return [_member(each, kind) for each in members]


def _member(member: MemberDocument, kind: str) -> Finding:
    about = f"{kind} {member.name}"
    found = f"found by {', '.join(member.found)}" if member.found else ""
    if member.state == "usable":
        facts = (_way(member), found, *_SAYS[type(member)](member))
        return Finding(what=f"usable: {', '.join(filter(None, facts))}", about=about)
    if member.state == "announced":
        facts = (found, *_SAYS[type(member)](member))
        return Finding(what=f"reached when it is asked: {', '.join(filter(None, facts))}", about=about)
    if member.state == "gone":  # it may well have been stopped
        return NOT_REACHED.noted(member.reason or "is offered no more", about=about)
    again = f"tried again in {member.retry_seconds:.0f} s" if isinstance(member.retry_seconds, float) else ""
    dialled = f"dialled at {', '.join(member.addresses)}" if member.addresses else ""
    facts = "; ".join(filter(None, (member.reason or "has not answered yet", dialled, found, again)))
    return NOT_REACHED.found(facts, about=about)


def _way(member: MemberDocument) -> str:
    if not member.way:
        return ""
    scheme, kind, rtt = member.way.address.partition("://")[0], member.way.kind, member.way.rtt_seconds
    direct = f"by {scheme}, {kind}" if kind else f"by {scheme}"
    return f"{direct}, {rtt * 1000:.1f} ms" if isinstance(rtt, float) else direct


def _of_worker(worker: MemberDocument) -> tuple[str, ...]:
    if not isinstance(worker, WorkerDocument):
        return ()
    rpc = f"llama.cpp RPC {worker.rpc_version}" if worker.rpc_version else ""
    return rpc, f"lent to {worker.leased_by}" if worker.leased_by else ""


def _of_peer(peer: MemberDocument) -> tuple[str, ...]:
    if not isinstance(peer, PeerDocument):
        return ()
    return f"release {peer.version}" if peer.version else "", f"models {', '.join(peer.models)}" if peer.models else ""


_SAYS: dict[type[MemberDocument], Callable[[MemberDocument], tuple[str, ...]]] = {
    WorkerDocument: _of_worker,
    PeerDocument: _of_peer,
}


def _answering(node: NodeDocument) -> Finding:
    again = f"; tried again in {node.retry_seconds:.0f} s" if isinstance(node.retry_seconds, float) else ""
    return FAILING.found(f"is left alone after failures{again}", about=f"node {node.node or node.name}")
