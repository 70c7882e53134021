"""The running gateway as it changes: each state whole, as it says it."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from swarmgate.cli.streaming import Gone, following
from swarmgate.config.settings import Settings
from swarmgate.http.wire.watching import WatchedSwarm

EVENTS = "/v1/swarm/events"


def watched(settings: Settings, *, able: str) -> Iterator[WatchedSwarm | Gone]:
    """Yield the state as it is, and again whenever it has changed; that the gateway has gone is said once.

    If none runs at first, the command ends with status 1 and a plain message.
    """
    for event in following(settings, lambda: EVENTS, able=able):
        if isinstance(event, Gone):
            yield event
        elif event.name == "swarm":
            yield msgspec.json.decode(event.data, type=WatchedSwarm)
