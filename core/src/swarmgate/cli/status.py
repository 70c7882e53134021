"""``gateway status``: the running gateway, its models, and everybody it knows of."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress

import click
import msgspec

from swarmgate.cli.output import expected_errors, print_json, printable, table_lines
from swarmgate.cli.reading import config_option, json_option, read
from swarmgate.cli.running import asked
from swarmgate.cli.streaming import Gone
from swarmgate.cli.verbs import examples
from swarmgate.cli.watching import watched
from swarmgate.config.settings import Settings
from swarmgate.http.wire.members import MemberDocument, PeerDocument, WayDocument, WorkerDocument
from swarmgate.http.wire.swarm import NodeDocument, PlacedModel, PlaceDocument, SwarmDocument
from swarmgate.sizes import readable

_MODELS = ("model", "state", "where")
_NODES = ("name", "is a", "state", "found by", "way", "round trip", "about")
_UNKNOWN = "-"
#: To the upper left corner, with nothing left below.
_ANEW = "\x1b[H\x1b[2J"
_MINUTE, _HOUR, _DAY = 60, 3600, 86400
#: What the swarm calls them, as people say it.
_STATES = {"left_out": "not reached", "not_ready": "not ready"}


@click.command(epilog=examples("gateway status", "gateway status --watch", "gateway status --json"))
@click.option("--watch", is_flag=True, help="Show it anew whenever it changes, until Ctrl-C.")
@config_option
@json_option
def status(file: str | None, *, watch: bool, as_json: bool) -> None:
    """Show the running gateway: its models and where they lie, and everybody it knows of.

    Of each node: how it was found, which way bytes go (direct, or relayed through another member), the round trip, and
    why it is not reached if it is not.  The gateway that runs at the configured address is asked.  With --watch and
    --json each change is a line.

    The status is 1 if no gateway runs there.
    """
    with expected_errors():
        blueprint, _, _ = read(file, local=False)
    if watch:
        with suppress(KeyboardInterrupt):
            _watch(blueprint.settings, as_json=as_json)
        return
    swarm = asked(blueprint.settings, "/v1/swarm", SwarmDocument, able="tell its status")
    if as_json:
        print_json(swarm)
    else:
        columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else 0
        for line in lines_of(swarm, columns):
            click.echo(line)


def _watch(settings: Settings, *, as_json: bool) -> None:
    """Show each state on the whole screen, or where there is none as lines, one state after the other."""
    whole = sys.stdout.isatty() and not as_json
    for state in watched(settings, able="be watched"):
        if isinstance(state, Gone):
            gone = f"the gateway at {state.url} is not running; trying again"
            click.echo(f"{_ANEW}{gone}" if whole else gone, err=not whole)
        elif as_json:
            click.echo(msgspec.json.encode(state))
        elif whole:
            columns, rows = shutil.get_terminal_size()
            click.echo(_ANEW + "\n".join(fitting(lines_of(state, columns), columns, rows)), nl=False)
        else:
            click.echo("\n".join([*lines_of(state), ""]))


def fitting(lines: list[str], columns: int, rows: int) -> list[str]:
    """Return as much of *lines* as a screen of that size can show, saying what it cannot."""
    shown = lines if len(lines) <= rows else [*lines[: rows - 1], f"({len(lines) - rows + 1} lines more)"]
    return [line if len(line) <= columns else f"{line[: columns - 1]}…" for line in shown]


def lines_of(swarm: SwarmDocument, columns: int = 0) -> list[str]:
    """Return what is shown of *swarm*, broken to so many *columns* if that is known."""
    gateway = swarm.gateway
    heading = f"{gateway.name} ({gateway.id}), version {gateway.version}, up {age(gateway.uptime_seconds)}"
    models = _table([_MODELS, *models_rows(swarm)], "no model is served", columns)
    nodes = _table([_NODES, *nodes_rows(swarm)], "no other node is known", columns)
    return [printable(heading), "", *models, "", *nodes]


def _table(rows: Sequence[tuple[str, ...]], nothing: str, columns: int) -> list[str]:
    if len(rows) == 1:
        return [nothing]
    return table_lines([tuple(printable(cell) for cell in row) for row in rows], columns)


def models_rows(swarm: SwarmDocument) -> Iterator[tuple[str, ...]]:
    """Yield a row for each model: of this gateway with the places of its layers, of others with who has it."""
    for model in swarm.models:
        yield model.name, "ready" if model.ready else "not ready", _where(model)
    ours = {model.backend for model in swarm.models}
    for node in swarm.nodes:
        if node.name not in ours:
            yield from ((model, said(node.state), f"at {node.node or node.name}") for model in node.models)


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
            yield node.node or node.name, "server", said(node.state), "configuration", _UNKNOWN, _UNKNOWN, about
    for worker in swarm.workers:
        yield _row(worker, "worker", worker.state, worker.reason or _lent(worker))


def _gateway_row(peer: PeerDocument, node: NodeDocument | None) -> tuple[str, ...]:
    """Return the row of *peer*; while it is reached, it does as *node* says, which asks it."""
    if peer.state != "usable" or node is None:
        return _row(peer, "gateway", peer.state, peer.reason or ", ".join(peer.models or ()))
    return _row(peer, "gateway", node.state, node.reason or ", ".join(node.models))


def _row(member: MemberDocument, kind: str, state: str, about: str) -> tuple[str, ...]:
    found = ", ".join(member.found or ()) or _UNKNOWN
    return member.name, kind, said(state), found, *way_of(member.way or None), about


def way_of(way: WayDocument | None) -> tuple[str, str]:
    """Return by what and how *way* goes, and its round trip."""
    if way is None:
        return _UNKNOWN, _UNKNOWN
    scheme = way.address.partition("://")[0]
    rtt = f"{way.rtt_seconds * 1000:.1f} ms" if isinstance(way.rtt_seconds, float) else _UNKNOWN
    return f"{scheme}, {way.kind}" if way.kind else scheme, rtt


def _where(model: PlacedModel) -> str:
    places = [_place(place) for place in model.places]
    coming = f"; being loaded: {model.coming.plan}" if model.coming else ""
    if places and model.ready:
        return ", ".join(places) + coming
    far = f" {model.progress:.0%}" if isinstance(model.progress, float) and not model.ready else ""
    return f"{model.waiting or model.reason or ''}{far}{coming}"


def _place(place: PlaceDocument) -> str:
    held = f" {place.first_layer}-{place.last_layer}" if place.first_layer is not None else ""
    return f"{place.place}{held}"


def _lent(worker: WorkerDocument) -> str:
    lends = f"{readable(worker.memory_bytes)} free" if isinstance(worker.memory_bytes, int) else ""
    holder = f"has a part of {worker.model}" if worker.model else f"lent to {worker.leased_by}"
    return "; ".join(filter(None, (lends, holder if worker.model or worker.leased_by else "")))


def said(state: str) -> str:
    """Return *state* as people say it."""
    return _STATES.get(state, state)


def age(seconds: float) -> str:
    """Return a span of time as people say it."""
    if seconds < _MINUTE:
        return f"{seconds:.0f} s"
    if seconds < _HOUR:
        return f"{seconds // _MINUTE:.0f} min"
    return f"{seconds // _HOUR:.0f} h" if seconds < 2 * _DAY else f"{seconds // _DAY:.0f} days"
