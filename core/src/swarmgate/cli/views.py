"""What ``gateway top`` shows, from the states and samples that the gateway sends.  Pure: documents in, rows out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from msgspec import UNSET, UnsetType

from swarmgate.cli.output import printable
from swarmgate.cli.status import age, models_rows, said, way_of
from swarmgate.http.wire.members import WayDocument
from swarmgate.http.wire.requests import RequestSummary
from swarmgate.http.wire.swarm import NodeDocument
from swarmgate.http.wire.watching import SampleDocument, WatchedSwarm

NODES = ("node", "is a", "state", "busy", "tok/s", "way", "about")
MODELS = ("model", "state", "where")
REQUESTS = ("request", "model", "state", "node", "tokens", "tok/s", "tries", "resumed", "seconds")
_UNKNOWN = "-"
_BARS = "▁▂▃▄▅▆▇█"
_SAMPLES = 150
_LONGEST_ID = 12
_DRAINING = "draining"


class Row(NamedTuple):
    """One line of a table; *drains* is the node that an order to drain would name, empty if it cannot be drained."""

    key: str
    cells: tuple[str, ...]
    drains: str = ""
    draining: bool = False


@dataclass(frozen=True, slots=True)
class View:
    """All that is known at the moment: the last *state*, the *samples*, and who is *gone* (empty while it is there).

    *words* is what rows have to contain to be shown.
    """

    state: WatchedSwarm | None = None
    samples: tuple[SampleDocument, ...] = ()
    gone: str = ""
    words: str = ""

    def told(self, state: WatchedSwarm) -> View:
        """Return the view after the gateway sent *state*."""
        return replace(self, state=state, gone="")

    def sampled(self, samples: Iterable[SampleDocument], *, anew: bool = False) -> View:
        """Return the view with *samples* after those there are, or *anew* with them alone."""
        kept = (*(() if anew else self.samples), *samples)[-_SAMPLES:]
        return replace(self, samples=kept, gone="")

    def heading(self) -> str:
        """Return who it is, or that nobody is there."""
        if self.gone:
            return f"the gateway at {self.gone} is not running; trying again"
        if self.state is None:
            return "asking the gateway"
        gateway = self.state.gateway
        return printable(f"{gateway.name}, version {gateway.version}, up {age(gateway.uptime_seconds)}")

    def sparks(self, width: int) -> list[str]:
        """Return the main rates as lines of at most *width*: what, how it went, and what it is now."""
        last = self.samples[-1] if self.samples else None
        waiting = f"{last.waiting:.0f} wait" if last is not None else ""
        lines = (
            ("tokens/s", [each.tokens_per_second for each in self.samples], ""),
            ("requests/s", [each.requests_per_second for each in self.samples], _failing(last)),
            ("running", [float(each.running) for each in self.samples], waiting),
        )
        return [_spark(name, values, more, width) for name, values, more in lines]

    def nodes(self) -> list[Row]:
        """Return those that answer, the gateways that are offered and do not, and the workers."""
        if self.state is None:
            return []
        return self._shown(_nodes(self.state))

    def models(self) -> list[Row]:
        """Return the models, where they lie, and how far those have come that are being loaded."""
        if self.state is None:
            return []
        return self._shown(Row(f"{number}", cells) for number, cells in enumerate(models_rows(self.state)))

    def requests(self) -> list[Row]:
        """Return the requests that run, and the last that do not any more."""
        if self.state is None:
            return []
        return self._shown(Row(each.id, _request(each)) for each in self.state.requests)

    def _shown(self, rows: Iterable[Row]) -> list[Row]:
        plain = (row._replace(cells=tuple(printable(cell) for cell in row.cells)) for row in rows)
        wanted = self.words.casefold()
        return [row for row in plain if wanted in " ".join(row.cells).casefold()]


def sparkline(values: Sequence[float], width: int) -> str:
    """Return the last *width* of *values* as bars, the largest the highest."""
    shown = list(values[-width:]) if width > 0 else list[float]()
    most = max(shown, default=0.0)
    if most <= 0:
        return _BARS[0] * len(shown)
    return "".join(_BARS[min(round(value / most * (len(_BARS) - 1)), len(_BARS) - 1)] for value in shown)


def _spark(name: str, values: Sequence[float], more: str, width: int) -> str:
    now = f"{values[-1]:g}" if values else _UNKNOWN
    tail = f" {now:>8}  {more:<14}".rstrip()
    return f"{name:<10} {sparkline(values, width - 11 - 25):>{max(width - 11 - 25, 0)}}{tail}"[:width]


def _failing(last: SampleDocument | None) -> str:
    return f"{last.failures_per_second:g} fail" if last is not None and last.failures_per_second else ""


def _nodes(state: WatchedSwarm) -> Iterator[Row]:
    ours = {model.backend for model in state.models}
    offered = {peer.name: peer for peer in state.gateways}
    answering = {node.name for node in state.nodes}
    for node in state.nodes:
        peer = offered.get(node.name)
        kind = "backend" if node.name in ours else "server" if peer is None else "gateway"
        way = _way(peer.way) if peer is not None else _UNKNOWN
        about = node.reason or ", ".join(node.models)
        cells = (
            node.node or node.name,
            kind,
            said(node.state),
            _busy(node),
            _number(node.tokens_per_second),
            way,
            about,
        )
        yield Row(f"node {node.name}", cells, node.name, node.state == _DRAINING)
    for peer in state.gateways:
        if peer.name not in answering:
            about = peer.reason or ", ".join(peer.models or ())
            cells = (
                peer.name,
                "gateway",
                said(peer.state),
                _UNKNOWN,
                _UNKNOWN,
                _way(peer.way),
                about,
            )
            yield Row(f"gateway {peer.node} {peer.name}", cells)
    for worker in state.workers:
        about = worker.reason or (f"has a part of {worker.model}" if worker.model else "")
        way = _way(worker.way)
        yield Row(
            f"worker {worker.node} {worker.name}",
            (worker.name, "worker", said(worker.state), _UNKNOWN, _UNKNOWN, way, about),
        )


def _way(way: WayDocument | UnsetType) -> str:
    return " ".join(way_of(way)) if isinstance(way, WayDocument) else _UNKNOWN


def _busy(node: NodeDocument) -> str:
    return f"{node.in_flight}/{node.slots}" if node.slots is not UNSET else str(node.in_flight)


def _number(value: float | UnsetType) -> str:
    return f"{value:.1f}" if isinstance(value, float | int) else _UNKNOWN


def _request(each: RequestSummary) -> tuple[str, ...]:
    if each.status is not None:
        state = f"{each.status}{f' {each.error}' if each.error else ''}"
    elif each.queue_place is not UNSET:
        state = f"queued, {each.queue_place}."
    else:
        state = each.phase or "running"
    return (
        each.id[-_LONGEST_ID:],
        each.model or _UNKNOWN,
        state,
        each.worker or _UNKNOWN,
        str(each.completion_tokens),
        _number(each.tokens_per_second),
        str(each.attempts),
        str(each.resumed),
        f"{each.seconds:.1f}",
    )
