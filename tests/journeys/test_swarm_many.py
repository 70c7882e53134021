"""Many gateways on one machine that know one address: all find all, and all come back when all are started anew."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from live_gateway import free_port
from swarm_members import Members, members

pytestmark = [pytest.mark.journey, pytest.mark.timeout(300)]
_NODES = 12
Parts = Sequence[tuple[str, Mapping[str, Any]]]


def parts(port: int, *bootstrap: str) -> Parts:
    """Return parts that keep to loopback."""
    host = {"listen_maddrs": [f"/ip4/127.0.0.1/tcp/{port}"], "bootstrap_peers": list(bootstrap)}
    return [
        ("[[transport]]", {"use": "tls", "listen": "127.0.0.1:0", "announce": ["127.0.0.1"]}),
        ("[[transport]]", {"use": "p2p", **host}),
        ("[ledger]", {"use": "gossip", **host}),
        ("[[discovery]]", {"use": "dht", **host}),
    ]


@pytest.fixture
def swarm(tmp_path: Path) -> Iterator[Members]:
    with members(tmp_path) as made:
        yield made


def start(swarm: Members, ports: Mapping[str, int]) -> None:
    """Start all; the first is the one whose address the others know."""
    first, *others = ports
    common: dict[str, Any] = {"backends": [{"use": "echo"}], "queue_seconds": 5}
    swarm.gateway(first, "run", "--federated", parts=parts(ports[first]), **common)
    id_ = swarm.get(first, "/v1/swarm")["gateway"]["id"]
    known = f"/ip4/127.0.0.1/tcp/{ports[first]}/p2p/{id_}"
    for name in others:
        swarm.gateway(name, "run", "--federated", parts=parts(ports[name], known), wait=False, **common)
    for name in others:
        swarm.until_answering(name)


def kept(state: Path) -> int:
    """Return of how many members the node with this state folder has kept where it met them."""
    (file,) = state.glob("libp2p-*.json")
    return len(json.loads(file.read_text())["peers"])


def sees(said: Any) -> int:
    return sum(each["state"] == "usable" for each in said["gateways"])


def test_twelve_find_one_another(swarm: Members) -> None:
    """Each lists the eleven others (bench/swarm.py says how long that takes)."""
    ports = {f"n{number}": free_port() for number in range(_NODES)}
    start(swarm, ports)
    for name in ports:
        swarm.until(name, lambda said: sees(said) == _NODES - 1, seconds=90)


def test_all_are_killed_and_started_anew(swarm: Members) -> None:
    """The swarm forms again from what its members kept: keys, ports, and where they met one another."""
    ports = {name: free_port() for name in ("one", "two", "three")}
    start(swarm, ports)
    for name in ports:
        swarm.until(name, lambda said: sees(said) == len(ports) - 1, seconds=90)
    for name in ports:
        while kept(swarm.folder / name) < len(ports) - 1:  # written within a second
            time.sleep(0.05)
    for name in ports:
        swarm.kill(name)
    for name, port in ports.items():
        swarm.gateway(name, "run", "--federated", parts=parts(port), wait=False, backends=[{"use": "echo"}])
    for name in ports:
        swarm.until_answering(name)
    for name in ports:
        swarm.until(name, lambda said: sees(said) == len(ports) - 1, seconds=90)
