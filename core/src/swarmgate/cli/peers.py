"""``gateway peers``: the members of the swarm, as the running gateway sees them."""

from __future__ import annotations

from collections.abc import Iterator

import click
import msgspec
from msgspec import UNSET, UnsetType

from swarmgate.cli.output import expected_errors, print_json, print_table, printable
from swarmgate.cli.reading import config_option, json_option, read
from swarmgate.cli.running import asked
from swarmgate.cli.status import said, way_of
from swarmgate.cli.verbs import examples
from swarmgate.http.wire.members import MemberDocument, PeerDocument, WayDocument
from swarmgate.http.wire.swarm import SwarmDocument

_COLUMNS = ("name", "id", "role", "state", "found by", "ways", "round trip", "version", "why not")
_UNKNOWN = "-"
#: How much of a peer's id tells it from others at a glance: its end, for all begin alike.
_SHORT = 8
#: From the best to the worst that can be said of a member.
_STATES = ("usable", "announced", "reaching", "left_out", "gone")


class PeerAccount(msgspec.Struct, kw_only=True):
    """One member of the swarm, whatever it offers.

    *roles* are what it does: ``gateway``, ``worker``.  *state* is the best of its offers', *ways* are those that bytes
    go now, *reason* is why it is not reached if it is not.
    """

    name: str
    id: str
    here: bool = False
    roles: list[str]
    state: str
    found: list[str] = []
    ways: list[WayDocument] = []
    version: str | UnsetType = UNSET
    reason: str | UnsetType = UNSET


@click.command(epilog=examples("gateway peers", "gateway peers --json"))
@config_option
@json_option
def peers(file: str | None, *, as_json: bool) -> None:
    """Show the members of the swarm: who they are, what they do, by what they were found and how they are reached.

    One line for each machine that offers something, this one first; why one is not reached stands last.  The gateway
    that runs at the configured address is asked.

    The status is 1 if no gateway runs there.
    """
    with expected_errors():
        blueprint, _, _ = read(file, local=False)
    found = list(accounts(asked(blueprint.settings, "/v1/swarm", SwarmDocument, able="tell of its swarm")))
    if as_json:
        print_json({"peers": found})
    else:
        print_table([_COLUMNS, *(tuple(printable(cell) for cell in row_of(each)) for each in found)])


def accounts(swarm: SwarmDocument) -> Iterator[PeerAccount]:
    """Yield the members of *swarm*, the gateway that tells of it first, then in the order of their names."""
    us = swarm.gateway
    yield PeerAccount(name=us.name, id=us.id, here=True, roles=["gateway"], state="usable", version=us.version)
    offers: dict[str, list[MemberDocument]] = {}
    for member in (*swarm.gateways, *swarm.workers):
        if member.node != us.id:
            offers.setdefault(member.node, []).append(member)
    yield from sorted(map(_account, offers.values()), key=lambda each: (each.name, each.id))


def _account(offers: list[MemberDocument]) -> PeerAccount:
    best = min(offers, key=lambda each: _STATES.index(each.state))
    found = dict.fromkeys(name for each in offers for name in each.found or ())
    versions = [each.version for each in offers if isinstance(each.version, str)]
    reached = best.state == "usable"
    return PeerAccount(
        name=best.name,
        id=best.node,
        roles=list(dict.fromkeys("gateway" if isinstance(each, PeerDocument) else "worker" for each in offers)),
        state=best.state,
        found=list(found),
        ways=[each.way for each in offers if isinstance(each.way, WayDocument)],
        version=versions[0] if versions else UNSET,
        reason=UNSET if reached else next((each.reason for each in offers if each.reason), UNSET),
    )


def row_of(peer: PeerAccount) -> tuple[str, ...]:
    """Return what is shown of *peer*."""
    ways = dict.fromkeys(way_of(way) for way in peer.ways)
    return (
        peer.name,
        peer.id if len(peer.id) <= _SHORT else f"…{peer.id[-_SHORT:]}",
        " + ".join(peer.roles),
        "this one" if peer.here else said(peer.state),
        ", ".join(peer.found) or _UNKNOWN,
        "; ".join(way for way, _ in ways) or _UNKNOWN,
        "; ".join(rtt for _, rtt in ways) or _UNKNOWN,
        peer.version or _UNKNOWN,
        peer.reason or "",
    )
