from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from live_gateway import live_gateway
from swarmgate.cli.peers import accounts, row_of
from swarmgate.http.wire.members import PeerDocument, WayDocument, WorkerDocument
from swarmgate.http.wire.swarm import GatewayDocument, SwarmDocument

Gateway = Callable[..., subprocess.CompletedProcess[str]]
US = GatewayDocument(name="home", id="12D3KooWus", version="0.1", uptime_seconds=7)


def test_a_machine_is_one_member_whatever_it_offers() -> None:
    """With all it does, all by which it was found, and each way to it; this one is first."""
    common: dict[str, Any] = {"name": "hall", "node": "12D3KooWhall", "addresses": [], "state": "usable"}
    direct = WayDocument(address="tls://x@10.0.0.5:1/gateway", kind="direct", rtt_seconds=0.00123)
    relayed = WayDocument(address="p2p://x/llama-rpc", kind="relayed")
    swarm = SwarmDocument(
        gateway=US,
        models=[],
        gateways=[PeerDocument(service="gateway", found=["mdns"], way=direct, version="0.2", **common)],
        workers=[WorkerDocument(service="llama-rpc", found=["mdns", "gossip"], way=relayed, **common)],
    )
    rows = [row_of(each) for each in accounts(swarm)]
    assert rows == [
        ("home", "…D3KooWus", "gateway", "this one", "-", "-", "-", "0.1", ""),
        (
            "hall",
            "…KooWhall",
            "gateway + worker",
            "usable",
            "mdns, gossip",
            "tls, direct; p2p, relayed",
            "1.2 ms; -",
            "0.2",
            "",
        ),
    ]


def test_the_best_that_can_be_said_is_said() -> None:
    """One reached way is enough; who is reached by none has the reason."""
    common: dict[str, Any] = {"node": "n", "addresses": [], "service": "llama-rpc"}
    some = [
        WorkerDocument(name="a", state="left_out", reason="connection refused", **common),
        WorkerDocument(name="a", state="usable", **common),
    ]
    others: dict[str, Any] = {**common, "node": "m"}
    alone = WorkerDocument(name="b", state="left_out", reason="it is silent", **others)
    swarm = SwarmDocument(gateway=US, models=[], workers=[*some, alone])
    _, a, b = accounts(swarm)
    assert (a.state, a.reason or "") == ("usable", "")
    assert (b.state, b.reason) == ("left_out", "it is silent")
    assert row_of(b)[3] == "not reached"


@pytest.mark.timeout(300)
@pytest.mark.journey
def test_the_running_gateways_swarm_is_shown(home: Path, gateway: Gateway) -> None:
    """With why somebody is not reached, and as JSON; where no gateway runs, that is said."""
    with live_gateway(home, [{"use": "echo"}], workers=["127.0.0.1:9"], name="home"):
        done = gateway("peers")
        assert (done.returncode, done.stderr) == (0, "")
        heading, us, worker = done.stdout.splitlines()
        assert heading.split()[:3] == ["name", "id", "role"]
        assert us.startswith("home ")
        assert "this one" in us
        assert "not reached" in worker
        assert "connection refused" in worker
        found = json.loads(gateway("peers", "--json").stdout)["peers"]
        assert [each["roles"] for each in found] == [["gateway"], ["worker"]]
    done = gateway("peers")
    assert (done.returncode, done.stdout) == (1, "")
    assert "no gateway answers at http://127.0.0.1:" in done.stderr
