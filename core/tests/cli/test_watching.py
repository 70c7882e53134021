from __future__ import annotations

from itertools import islice

from scripted_server import Answer, scripted
from swarmgate.cli.streaming import Gone
from swarmgate.cli.watching import watched
from swarmgate.http.wire.heading import encode
from swarmgate.http.wire.swarm import GatewayDocument
from swarmgate.http.wire.watching import WatchedSwarm

GATEWAY = GatewayDocument(name="home", id="n", version="1", uptime_seconds=1.0)
STATE = WatchedSwarm(gateway=GATEWAY, models=[], workers=[], requests=[])


def test_states_are_taken_from_the_events() -> None:
    """Of the others nothing is shown."""
    body = b"event: hello\ndata: {}\n\nevent: swarm\ndata: %s\n\nevent: bye\ndata: {}\n\n" % encode(STATE)
    with scripted(Answer(body)) as (settings, asked):
        got = list(islice(watched(settings, able="be watched"), 2))
    assert got == [STATE, Gone(f"http://{settings.listen}")]
    assert asked[0].path == "/v1/swarm/events"
