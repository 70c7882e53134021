from __future__ import annotations

import pytest
from scripted_server import Answer, scripted
from swarmgate.cli.screen import Question, TopScreen, seen
from swarmgate.cli.streaming import Gone
from swarmgate.cli.views import View
from swarmgate.http.wire.heading import encode
from swarmgate.http.wire.swarm import GatewayDocument, NodeDocument
from swarmgate.http.wire.watching import WatchedSwarm
from swarmgate.sse import ServerEvent
from textual.widgets import DataTable, Input, Static

GATEWAY = GatewayDocument(name="home", id="n", version="1", uptime_seconds=1.0)
NODES = [NodeDocument(name=name, state="ready", models=["m"], in_flight=0) for name in ("a", "b")]
STATE = WatchedSwarm(gateway=GATEWAY, models=[], workers=[], nodes=NODES, requests=[])
SAMPLE = b"""{"at":"2026-01-01T00:00:00Z","tokens_per_second":2.5,"requests_per_second":1,"failures_per_second":0,
"running":1,"waiting":0,"ready":1}""".replace(b"\n", b"")


@pytest.fixture
def anyio_backend() -> str:
    """Textual knows asyncio alone."""
    return "asyncio"


def test_each_event_changes_the_view() -> None:
    """A state, the samples so far, one more; what is not known changes nothing; that nobody is there is kept."""
    hello = b'{"operator":true,"sample_seconds":2,"samples":[%s]}' % SAMPLE
    view = seen(View(), ServerEvent("swarm", encode(STATE)))
    assert view.state == STATE
    view = seen(view, ServerEvent("hello", hello))
    assert len(seen(view, ServerEvent("sample", SAMPLE)).samples) == 2
    assert len(seen(view, ServerEvent("hello", hello)).samples) == 1
    assert seen(view, ServerEvent("bye", b"{}")) == view
    assert seen(view, Gone("http://h")).gone == "http://h"


@pytest.mark.anyio
async def test_keys_do_what_they_say() -> None:
    """The filter narrows what is shown, the cursor stays with its row, and nothing is drained without a yes."""
    with scripted(Answer(b"event: swarm\ndata: %s\n\n" % encode(STATE))) as (settings, asked):
        screen = TopScreen(settings)
        async with screen.run_test(size=(80, 24)) as pilot:
            table = screen.query_one("#nodes", DataTable)
            while table.row_count != 2:
                await pilot.pause()
            await pilot.press("down")
            assert table.get_row_at(table.cursor_row)[0] == "b"
            await pilot.press("slash", "b")
            assert table.row_count == 1
            await pilot.press("escape")
            assert (table.row_count, screen.query_one("#words", Input).value) == (2, "")
            await pilot.press("d")
            assert isinstance(screen.screen, Question)
            await pilot.press("n")
            assert not isinstance(screen.screen, Question)
            await pilot.press("tab", "tab")
            while "not running" not in str(screen.query_one("#heading", Static).content):
                await pilot.pause()
            await pilot.press("q")
    assert not [each for each in asked if each.path.endswith("drain")]
