"""A node is taken out of service under load, by order and by a signal, and nobody who asks notices."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fleet import Fleet, a_fleet
from listeners import Heard, chat, listen
from tinygguf import write_llama

pytestmark = [pytest.mark.engine, pytest.mark.journey, pytest.mark.timeout(300)]

_CLIENTS = 4


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Generator[Fleet]:
    """Run two nodes with the same weights behind a hub."""
    folder = tmp_path_factory.mktemp("drain")
    backend = {"use": "llamacpp", "model": str(write_llama(folder / "m.gguf")), "name": "m", "threads": 1, "slots": 4}
    with a_fleet(folder, [backend], [backend]) as running:
        running.until_slots(8, "m")
        yield running


def nodes(fleet: Fleet) -> dict[str, dict[str, Any]]:
    """Return what the hub says of its nodes, by their names."""
    with urllib.request.urlopen(f"{fleet.hub.url}/v1/swarm", timeout=10) as response:
        return {node.get("node", node["name"]): node for node in json.load(response)["nodes"]}


def order(fleet: Fleet, node: str, *, drain: bool) -> None:
    """Post the order to the hub."""
    response = httpx.post(f"{fleet.hub.url}/v1/swarm/drain", json={"node": node, "drain": drain}, timeout=10)
    assert response.status_code == 200, response.text


async def under_load(fleet: Fleet, change: Callable[[], None]) -> list[Heard]:
    """Return what steady clients heard while *change*, which blocks, was going on, and a moment before and after."""
    enough = asyncio.Event()

    async def client(number: int) -> list[Heard]:
        heard = list[Heard]()
        async with httpx.AsyncClient(base_url=fleet.hub.url, timeout=60) as http:
            while not enough.is_set():
                heard.append(await listen(http, chat(number, tokens=100)))
        return heard

    async with asyncio.TaskGroup() as tasks:
        clients = [tasks.create_task(client(number)) for number in range(_CLIENTS)]
        await asyncio.sleep(0.7)
        try:
            await asyncio.to_thread(change)
            await asyncio.sleep(0.7)
        finally:
            enough.set()
    for each in clients:
        assert len({heard.text for heard in each.result()}) == 1
    return [heard for each in clients for heard in each.result()]


def until(fleet: Fleet, holds: Callable[[dict[str, dict[str, Any]]], bool]) -> None:
    """Wait until something holds of the hub's nodes."""

    async def look() -> None:
        async with asyncio.timeout(20):
            while not holds(await asyncio.to_thread(nodes, fleet)):  # noqa: ASYNC110 -- of another process
                await asyncio.sleep(0.05)

    asyncio.run(look())


def test_a_drained_node_empties_and_nothing_is_dropped(fleet: Fleet) -> None:
    """Its answers end well, new ones go to the other; taken back in it is used again."""

    def change() -> None:
        order(fleet, "node-0", drain=True)
        until(fleet, lambda found: found["node-0"]["state"] == "draining" and not found["node-0"]["in_flight"])
        until(fleet, lambda found: found["node-1"]["in_flight"] > 0 and not found["node-0"]["in_flight"])
        order(fleet, "node-0", drain=False)
        until(fleet, lambda found: found["node-0"]["in_flight"] > 0)

    heard = asyncio.run(under_load(fleet, change))
    assert all(each.whole for each in heard), [each for each in heard if not each.whole]


def test_a_node_that_is_told_to_stop_drops_nothing(fleet: Fleet) -> None:
    """On SIGTERM what it writes is finished or carried over to the other node; started again it is used again."""

    def change() -> None:
        process = fleet.nodes[1].process
        process.terminate()
        process.wait(30)
        fleet.start(1)
        until(fleet, lambda found: found["node-1"]["state"] == "ready")

    heard = asyncio.run(under_load(fleet, change))
    assert all(each.whole for each in heard), [each for each in heard if not each.whole]


def test_a_node_gone_for_good_is_broken_off_in_the_middle(tmp_path: Path) -> None:
    """With no time to drain, answers under way are carried over in the same stream."""
    backend = {"use": "llamacpp", "model": str(write_llama(tmp_path / "m.gguf")), "name": "m", "threads": 1, "slots": 4}
    with a_fleet(tmp_path, [backend], [backend]) as fleet:
        fleet.until_slots(8, "m")

        def change() -> None:
            fleet.kill(0)

        heard = asyncio.run(under_load(fleet, change))
    assert all(each.whole for each in heard), [each for each in heard if not each.whole]
