"""Gateways and workers of one machine that share its state folder, as they do when nobody says otherwise."""

from __future__ import annotations

from pathlib import Path

import pytest
from live_gateway import free_port
from swarm_members import members
from swarm_members import parts_on_loopback as parts

pytestmark = [pytest.mark.engine, pytest.mark.journey, pytest.mark.swarm, pytest.mark.timeout(240)]


def test_all_commands_run_beside_one_another(tmp_path: Path) -> None:
    """A gateway, a balancer and two workers are four nodes, though one folder has the token of all; each is reached."""
    home = str(tmp_path / "state")
    with members(tmp_path) as swarm:
        port = free_port()
        swarm.gateway("model", "run", "--federated", parts=parts(port), state_dir=home, backends=[{"use": "echo"}])
        known = f"/ip4/127.0.0.1/tcp/{port}/p2p/{swarm.get('model', '/v1/swarm')['gateway']['id']}"
        swarm.gateway("balancer", "federated", parts=parts(0, known), wait=False, state_dir=home)
        for name in ("one", "two"):
            swarm.worker(name, parts=parts(0, known), state_dir=home)
        swarm.until("model", lambda said: sum(each["state"] == "usable" for each in said["workers"]) == 2, seconds=120)
        swarm.until_answering("balancer")
        swarm.until("balancer", lambda said: any(each["state"] == "usable" for each in said["gateways"]), seconds=60)
        said = swarm.get("model", "/v1/swarm")
        balancer = swarm.get("balancer", "/v1/swarm")["gateway"]["id"]
        assert len({said["gateway"]["id"], balancer, *(each["node"] for each in said["workers"])}) == 4
    assert sorted(path.name for path in Path(home).iterdir() if path.is_dir()) == ["gateway-2", "worker", "worker-2"]
