"""``gateway status``: the running gateway, its models, and everybody it knows of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import click

from swarmgate.cli.output import expected_errors, print_json, print_table
from swarmgate.cli.reading import config_option, json_option, read
from swarmgate.cli.running import asked
from swarmgate.cli.verbs import examples
from swarmgate.http.wire.members import MemberDocument, PeerDocument, WayDocument, WorkerDocument
from swarmgate.http.wire.swarm import NodeDocument, PlacedModel, PlaceDocument, SwarmDocument
from swarmgate.sizes import readable

_MODELS = ("model", "state", "where")
_NODES = ("name", "is a", "state", "found by", "way", "round trip", "about")
_UNKNOWN = "-"
_MINUTE, _HOUR, _DAY = 60, 3600, 86400
#: What the swarm calls them, as people say it.
_STATES = {"left_out": "not reached", "not_ready": "not ready"}


@click.command(epilog=examples("gateway status", "gateway status --json"))
@config_option
@json_option
def status(file: str | None, *, as_json: bool) -> None:
    """Show the running gateway: its models and where they lie, and everybody it knows of.

    Of each node: how it was found, which way bytes go (direct, or relayed through another member), the round trip, and
    why it is not reached if it is not.  The gateway that runs at the configured address is asked.

    The status is 1 if no gateway runs there.
    """
    with expected_errors():
        blueprint, _, _ = read(file, local=False)
    swarm = asked(blueprint.settings, "/v1/swarm", SwarmDocument, able="tell its status")
    if as_json:
        print_json(swarm)
    else:
        _print(swarm)


def _print(swarm: SwarmDocument) -> None:
    gateway = swarm.gateway
    click.echo(_plain(f"{gateway.name} ({gateway.id}), version {gateway.version}, up {_age(gateway.uptime_seconds)}"))
    click.echo()
    _print_rows([_MODELS, *models_rows(swarm)], "no model is served")
    click.echo()
    _print_rows([_NODES, *nodes_rows(swarm)], "no other node is known")


def _print_rows(rows: Sequence[tuple[str, ...]], nothing: str) -> None:
    if len(rows) == 1:
        click.echo(nothing)
        return
    print_table([tuple(_plain(cell) for cell in row) for row in rows])


def models_rows(swarm: SwarmDocument) -> Iterator[tuple[str, ...]]:
    """Yield a row for each model: of this gateway with the places of its layers, of others with who has it."""
    for model in swarm.models:
        yield model.name, "ready" if model.ready else "not ready", _where(model)
    ours = {model.backend for model in swarm.models}
    for node in swarm.nodes:
        if node.name not in ours:
            yield from ((model, _said(node.state), f"at {node.node or node.name}") for model in node.models)


def nodes_rows(swarm: SwarmDocument) -> Iterator[tuple[str, ...]]:
    """Yield a row for each node but this one: gateways that are offered, other servers, and workers."""
    answering = {node.name: node for node in swarm.nodes}
    offered: set[str] = set()
    for peer in swarm.gateways:
        offered.add(peer.name)
        yield _gateway_row(peer, answering.get(peer.name))
    ours = {model.backend for model in swarm.models}
    for node in swarm.nodes:
        if node.name not in ours | offered:
            about = node.reason or ", ".join(node.models)
            yield node.name, "server", _said(node.state), "configuration", _UNKNOWN, _UNKNOWN, about
    for worker in swarm.workers:
        yield _row(worker, "worker", worker.state, worker.reason or _lent(worker))


def _gateway_row(peer: PeerDocument, node: NodeDocument | None) -> tuple[str, ...]:
    """Return the row of *peer*; while it is reached, it does as *node* says, which asks it."""
    if peer.state != "usable" or node is None:
        return _row(peer, "gateway", peer.state, peer.reason or ", ".join(peer.models or ()))
    return _row(peer, "gateway", node.state, node.reason or ", ".join(node.models))


def _row(member: MemberDocument, kind: str, state: str, about: str) -> tuple[str, ...]:
    found = ", ".join(member.found or ()) or _UNKNOWN
    return member.name, kind, _said(state), found, *_way(member.way or None), about


def _way(way: WayDocument | None) -> tuple[str, str]:
    if way is None:
        return _UNKNOWN, _UNKNOWN
    scheme = way.address.partition("://")[0]
    rtt = f"{way.rtt_seconds * 1000:.1f} ms" if isinstance(way.rtt_seconds, float) else _UNKNOWN
    return f"{scheme}, {way.kind}" if way.kind else scheme, rtt


def _where(model: PlacedModel) -> str:
    places = [_place(place) for place in model.places]
    coming = f"; being loaded: {model.coming.plan}" if model.coming else ""
    return (", ".join(places) if places and model.ready else model.waiting or model.reason or "") + coming


def _place(place: PlaceDocument) -> str:
    held = f" {place.first_layer}-{place.last_layer}" if place.first_layer is not None else ""
    return f"{place.place}{held}"


def _lent(worker: WorkerDocument) -> str:
    lends = f"{readable(worker.memory_bytes)} free" if isinstance(worker.memory_bytes, int) else ""
    holder = f"has a part of {worker.model}" if worker.model else f"lent to {worker.leased_by}"
    return "; ".join(filter(None, (lends, holder if worker.model or worker.leased_by else "")))


def _said(state: str) -> str:
    return _STATES.get(state, state)


def _age(seconds: float) -> str:
    if seconds < _MINUTE:
        return f"{seconds:.0f} s"
    if seconds < _HOUR:
        return f"{seconds // _MINUTE:.0f} min"
    return f"{seconds // _HOUR:.0f} h" if seconds < 2 * _DAY else f"{seconds // _DAY:.0f} days"


def _plain(text: str) -> str:
    """Return *text*, which may be other members' words, without what a terminal would obey."""
    return "".join(each if each.isprintable() else "?" for each in text)
