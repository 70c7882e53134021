from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from live_gateway import live_gateway
from msgspec import UNSET
from pseudo_terminal import terminal
from swarmgate.cli.status import fitting, models_rows, nodes_rows
from swarmgate.http.wire.members import PeerDocument, WayDocument, WorkerDocument
from swarmgate.http.wire.swarm import (
    ComingDocument,
    GatewayDocument,
    NodeDocument,
    PlacedModel,
    PlaceDocument,
    SwarmDocument,
)


def swarm(
    *,
    models: tuple[PlacedModel, ...] = (),
    workers: tuple[WorkerDocument, ...] = (),
    nodes: tuple[NodeDocument, ...] = (),
    gateways: tuple[PeerDocument, ...] = (),
) -> SwarmDocument:
    gateway = GatewayDocument(name="home", id="12D3", version="0.1", uptime_seconds=7)
    return SwarmDocument(
        gateway=gateway, models=list(models), workers=list(workers), nodes=list(nodes), gateways=list(gateways)
    )


def a_model(**fields: Any) -> PlacedModel:
    given: dict[str, Any] = {"name": "m", "backend": "b", "placement": "auto", "ready": True}
    return PlacedModel(**(given | fields))


HALVES = [
    PlaceDocument(place="here", first_layer=0, last_layer=15, share=0.5),
    PlaceDocument(place="w1", first_layer=16, last_layer=31, output=True, share=0.5),
]


COMING = ComingDocument(plan="fits", places=[])


def test_models_are_shown_with_where_they_lie() -> None:
    """Layers of what is ready, what is missing of what is not, and who has what others serve."""
    found = swarm(
        models=(
            a_model(places=HALVES),
            a_model(name="n", backend="c", ready=False, waiting="2 GB are missing", reason="nowhere"),
            a_model(name="o", backend="d", ready=False, reason="loading", coming=COMING),
        ),
        nodes=(
            NodeDocument(name="b", state="ready", models=["m"], in_flight=0),
            NodeDocument(name="far", node="there", state="not_ready", models=["x", "y"], in_flight=0),
        ),
    )
    assert list(models_rows(found)) == [
        ("m", "ready", "here 0-15, w1 16-31"),
        ("n", "not ready", "2 GB are missing"),
        ("o", "not ready", "loading; being loaded: fits"),
        ("x", "not ready", "at there"),
        ("y", "not ready", "at there"),
    ]


def test_nodes_are_shown_with_how_they_were_found_and_the_way_to_them() -> None:
    """A gateway that is reached does as its backend says; who is not reached has the reason, who was its own name."""
    direct = WayDocument(address="tls://x@10.0.0.5:1/llama-rpc", kind="direct", rtt_seconds=0.00123)
    relayed = WayDocument(address="p2p://x/gateway", kind="relayed")
    common: dict[str, Any] = {"node": "12D3", "addresses": []}
    found = swarm(
        models=(a_model(),),
        nodes=(
            NodeDocument(name="b", state="ready", models=["m"], in_flight=0),
            NodeDocument(name="g1", state="broken", models=["x"], in_flight=0, reason="it failed"),
            NodeDocument(name="openai", node="elsewhere:80", state="ready", models=["x"], in_flight=0),
            NodeDocument(name="openai-2", state="not_ready", models=[], in_flight=0, reason="h:1 refuses"),
        ),
        gateways=(
            PeerDocument(name="g1", service="gateway", state="usable", way=relayed, found=["gossip"], **common),
            PeerDocument(name="g2", service="gateway", state="left_out", reason="silent", found=["mdns"], **common),
            PeerDocument(name="g3", service="gateway", state="reaching", models=["z"], **common),
        ),
        workers=(
            WorkerDocument(
                name="w1",
                service="llama-rpc",
                state="usable",
                way=direct,
                found=["mdns", "dht"],
                memory_bytes=2 << 30,
                model="m",
                **common,
            ),
            WorkerDocument(name="w2", service="llama-rpc", state="usable", leased_by="bob", **common),
            WorkerDocument(
                name="w3", service="llama-rpc", state="usable", way=WayDocument(address="tcp://h:1"), **common
            ),
        ),
    )
    rows = list(nodes_rows(found))
    assert rows[:4] == [
        ("g1", "gateway", "broken", "gossip", "p2p, relayed", "-", "it failed"),
        ("g2", "gateway", "not reached", "mdns", "-", "-", "silent"),
        ("g3", "gateway", "reaching", "-", "-", "-", "z"),
        ("elsewhere:80", "server", "ready", "configuration", "-", "-", "x"),
    ]
    assert rows.pop(4) == ("openai-2", "server", "not ready", "configuration", "-", "-", "h:1 refuses")
    assert rows[4][:6] == ("w1", "worker", "usable", "mdns, dht", "tls, direct", "1.2 ms")
    assert rows[4][6].endswith("free; has a part of m")
    assert rows[5:] == [
        ("w2", "worker", "usable", "-", "-", "-", "lent to bob"),
        ("w3", "worker", "usable", "-", "tcp", "-", ""),
    ]
    assert found.workers[2].model is UNSET


def status(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GATEWAY_")}
    command = [sys.executable, "-m", "swarmgate", "status", *words]
    return subprocess.run(command, cwd=folder, env=clean, capture_output=True, text=True, timeout=100, check=False)


@pytest.mark.journey
def test_the_running_gateway_is_shown(tmp_path: Path) -> None:
    """A worker that is not there with the reason; where no gateway runs, that is said."""
    with live_gateway(tmp_path, [{"use": "echo"}], workers=["127.0.0.1:9"]):
        done = status(tmp_path)
        assert done.returncode == 0, done.stderr
        lines = done.stdout.splitlines()
        assert ", version " in lines[0]
        assert ["echo", "ready", "here"] in [line.split() for line in lines]
        (worker,) = (line for line in lines if line.startswith("127.0.0.1:9 "))
        assert worker.split()[1:4] == ["worker", "not", "reached"]
        assert "  static  " in worker
        assert "nothing answers at tcp://127.0.0.1:9: connection refused" in worker
        found = json.loads(status(tmp_path, "--json").stdout)
        assert (found["workers"][0]["state"], found["workers"][0]["found"]) == ("left_out", ["static"])
    done = status(tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert "no gateway answers at http://127.0.0.1:" in done.stderr


def test_a_screen_shows_what_it_can() -> None:
    """Long lines are cut, and how many lines do not fit is said."""
    assert fitting(["abcdef", "b"], 4, 2) == ["abc…", "b"]
    assert fitting(["a", "b", "c"], 80, 2) == ["a", "(2 lines more)"]


@pytest.mark.timeout(300)
@pytest.mark.journey
def test_the_status_is_watched(tmp_path: Path) -> None:
    """Each change is shown at once, that the gateway went and came back too; elsewhere than on a screen in lines."""
    command = [sys.executable, "-m", "swarmgate", "status", "--watch"]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GATEWAY_")}
    with live_gateway(tmp_path, [{"use": "echo"}]) as running:
        port = int(running.url.rpartition(":")[2])
        with terminal(command, cwd=tmp_path, env=clean) as screen:
            screen.until(lambda text: "echo" in text and "ready" in text)
            running.process.terminate()
            screen.until("is not running; trying again")
            with live_gateway(tmp_path, [{"use": "echo", "model": "parrot"}], port=port):
                screen.until("parrot")
                with subprocess.Popen([*command, "--json"], cwd=tmp_path, env=clean, stdout=subprocess.PIPE) as lines:
                    assert lines.stdout is not None
                    assert json.loads(lines.stdout.readline())["models"][0]["name"] == "parrot"
                    lines.terminate()
                screen.type("\x03")
                assert screen.end() == 0
    done = status(tmp_path, "--watch")
    assert (done.returncode, done.stdout) == (1, "")
    assert "no gateway answers at http://127.0.0.1:" in done.stderr
