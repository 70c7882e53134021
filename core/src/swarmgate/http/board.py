"""Where the latest state of the swarm hangs, for all who watch it: made once, however many they are."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

import anyio
from msgspec.structs import replace

from swarmgate.decisions import Account
from swarmgate.dispatch import Dispatcher
from swarmgate.http.history import EVERY_SECONDS, Count, History
from swarmgate.http.records import Records
from swarmgate.http.wire.heading import encode
from swarmgate.http.wire.swarm import swarm_document
from swarmgate.http.wire.watching import sample_document, watched
from swarmgate.metrics import Metrics
from swarmgate.roster import Member, Swarm

#: How often it is looked whether something has changed, in seconds, while somebody watches.
_LOOK_SECONDS = 0.5
#: Requests that are over are shown with those that run.
_OVER = 12


@dataclass(frozen=True, slots=True)
class Notice:
    """One event for all who watch: its number, which grows from notice to notice, and its data."""

    name: Literal["swarm", "sample"]
    number: int
    data: bytes


@dataclass(slots=True, eq=False)
class Board:
    """Holds the latest notices; *look* returns the swarm as it is now."""

    look: Callable[[], Swarm]
    dispatcher: Dispatcher
    records: Records
    metrics: Metrics
    version: str
    history: History = field(default_factory=History)
    _notices: dict[str, Notice] = field(default_factory=dict[str, Notice])
    _number: int = 0
    _seen: tuple[Swarm, tuple[Account, ...]] | None = None
    _watchers: int = 0
    _changed: anyio.Event = field(default_factory=anyio.Event)
    _came: anyio.Event = field(default_factory=anyio.Event)

    def __repr__(self) -> str:
        return f"<Board of {self._number} notices, {self._watchers} watching>"

    @contextmanager
    def watched(self) -> Generator[tuple[Notice, int]]:
        """Look often while held; yield the state as it is now, and the number after which all is news to who begins."""
        self._watchers += 1
        self._came.set()
        try:
            self.refresh()
            yield self._notices["swarm"], self._number
        finally:
            self._watchers -= 1

    def news(self, since: int) -> tuple[Notice, ...]:
        """Return the latest notice of each name, if it is newer than number *since*, in their order."""
        return tuple(sorted((n for n in self._notices.values() if n.number > since), key=lambda n: n.number))

    async def changed(self, since: int) -> None:
        """Wait until there is a notice newer than number *since*."""
        while self._number <= since:
            await self._changed.wait()

    async def keep(self) -> None:
        """Count every two seconds, and look for changes more often while somebody watches; until cancelled."""
        counted = -math.inf
        while True:
            now = anyio.current_time()
            if now - counted >= EVERY_SECONDS - _LOOK_SECONDS / 2:
                self.count()
                counted = now
            if self._watchers:
                self.refresh()
                await anyio.sleep(_LOOK_SECONDS)
                continue
            self._came = anyio.Event()
            with anyio.move_on_after(counted + EVERY_SECONDS - now):
                await self._came.wait()

    def count(self) -> None:
        """Take a sample of what has been counted."""
        nodes, models = self.dispatcher.nodes(), {card.name for card in self.dispatcher.models()}
        sample = self.history.take(
            Count(
                at=datetime.now(tz=UTC),
                now=anyio.current_time(),
                totals=self.metrics.totals(),
                written={node.backend: node.written for node in nodes},
                running=sum(self.dispatcher.running(model) for model in models),
                waiting=sum(self.dispatcher.waiting(model) for model in models),
                ready=sum(node.health.ready for node in nodes),
            )
        )
        if sample is not None and self._watchers:
            self._post("sample", encode(sample_document(sample)))

    def refresh(self) -> None:
        """Post the state if it is another than before; that time has passed is no change."""
        swarm, accounts = self.look(), self.records.lately(_OVER, now=anyio.current_time())
        seen = _timeless(swarm), accounts
        if seen == self._seen and "swarm" in self._notices:
            return
        self._seen = seen
        document = swarm_document(swarm, self.dispatcher.models(), self.version, self.history.rates)
        self._post("swarm", encode(watched(document, accounts)))

    def _post(self, name: Literal["swarm", "sample"], data: bytes) -> None:
        self._number += 1
        self._notices[name] = Notice(name, self._number, data)
        self._changed.set()
        self._changed = anyio.Event()


def _timeless(swarm: Swarm) -> Swarm:
    """Return *swarm* without what changes by itself."""
    return replace(
        swarm,
        seconds=0.0,
        members=tuple(map(_timeless_member, swarm.members)),
        gateways=tuple(map(_timeless_member, swarm.gateways)),
        nodes=tuple(replace(node, retry_seconds=0.0) for node in swarm.nodes),
    )


def _timeless_member(member: Member) -> Member:
    """Return *member* without its clocks, and with a round trip that has to differ to be news."""
    way = member.way
    if way is not None and way.rtt_seconds is not None:
        way = replace(way, rtt_seconds=float(f"{way.rtt_seconds:.1g}"))
    return replace(
        member, retry_seconds=None, seen_seconds=1.0 if member.seen_seconds else member.seen_seconds, way=way
    )
