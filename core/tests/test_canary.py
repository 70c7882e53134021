from __future__ import annotations

from functools import partial

import anyio
import pytest
from dispatching import DONE, Scripted, house
from swarmgate.canary import due, keep_trying
from swarmgate.errors import EngineError
from swarmgate.nouns import Health
from swarmgate.roster import Answering

READY = Health(ready=True)


def test_only_the_idle_are_due_and_the_broken_when_their_time_has_come() -> None:
    """Who is at work shows how it does; who is not ready, drained or left alone is not asked."""
    nodes = [
        Answering(backend="long idle", health=READY),
        Answering(backend="just asked", health=READY),
        Answering(backend="new", health=READY),
        Answering(backend="at work", health=READY, in_flight=1),
        Answering(backend="drained", health=READY, draining=True),
        Answering(backend="down", health=Health(ready=False)),
        Answering(backend="left alone", health=READY, breaker="open"),
        Answering(backend="on trial", health=READY, breaker="half_open"),
    ]
    asked = {node.backend: 0.0 for node in nodes if node.backend != "new"} | {"just asked": 99.0}
    assert due(nodes, asked, 100.0, 60.0) == ("long idle", "on trial")


@pytest.mark.anyio
async def test_a_sick_node_is_found_and_found_well_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a single request its breaker opens, and closes once it answers; those looked after are not asked."""
    monkeypatch.setattr("swarmgate.canary._LOOK_SECONDS", 0.01)
    sick, ours = Scripted([(EngineError("no"),)] * 3 + [("x", DONE)]), Scripted()
    dispatcher = house(a=sick, b=ours)
    states = set[str]()
    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(partial(keep_trying, dispatcher, lambda: {"b"}, every=0.02, seconds=5))
            while not ("open" in states and dispatcher.nodes()[0].breaker == "closed"):
                states.add(dispatcher.nodes()[0].breaker)
                await anyio.sleep(0.01)
            tasks.cancel_scope.cancel()
    assert ours.asked == []
