"""Several doors without a model before the same nodes: there is no master, and any of them may go."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from listeners import chat
from namespaces import Lan, lan, why_not
from swarm_members import Members, members

_WHY_NOT = why_not()
pytestmark = [
    pytest.mark.journey,
    pytest.mark.timeout(180),
    pytest.mark.skipif(bool(_WHY_NOT), reason=_WHY_NOT or "they can be made"),
]
ECHO = {"use": "echo"}


@pytest.fixture
def net() -> Iterator[Lan]:
    with lan("node", "one", "two", number=6) as made:
        yield made


@pytest.fixture
def swarm(tmp_path: Path, net: Lan) -> Iterator[Members]:
    with members(tmp_path, net) as made:
        yield made


def has_node(said: Any) -> bool:
    return any("echo" in each["models"] and each["state"] == "ready" for each in said["nodes"])


def test_two_doors_at_once_and_one_of_them_is_killed(swarm: Members) -> None:
    """Both find the node and answer by it, neither asks the other; the second goes on when the first is dead."""
    swarm.gateway("node", "run", "--federated", backends=[ECHO])
    for door in ("one", "two"):
        swarm.gateway(door, "federated")
    for door in ("one", "two"):
        swarm.until(door, has_node)
        [heard] = swarm.listen(door, [chat(1, model="echo")])
        assert heard.whole, heard
        [asked] = swarm.get(door, "/v1/requests?limit=1")["data"]
        assert asked["worker"].startswith("node")
    swarm.kill("one")
    [heard] = swarm.listen("two", [chat(2, model="echo")])
    assert heard.whole, heard
